// attend_reduce: the largest and the sum over the 128 invocations of attend_rows.
//
// The file that uses it declares `weights`, array<vec4f, 128>, and `shared_max`, array<vec4f, 32>, both
// workgroup. In uniform control flow; a barrier stands between two calls.

// The largest of every lane's `own`, in all lanes; `weights` may be written then.
fn max_of_lanes(lane: u32, own: vec4f) -> vec4f {
  weights[lane] = own;
  workgroupBarrier();
  if (lane < 16u) {
    var most = weights[lane];
    for (var k = 1u; k < 8u; k++) {
      most = max(most, weights[lane + 16u * k]);
    }
    shared_max[lane] = most;
  }
  workgroupBarrier();
  var most = own;
  for (var k = 0u; k < 16u; k++) {
    most = max(most, shared_max[k]);
  }
  return most;
}

// The sum of every lane's `own`, in all lanes.
fn sum_of_lanes(lane: u32, own: vec4f) -> vec4f {
  weights[lane] = own;
  workgroupBarrier();
  if (lane < 16u) {
    var sum = weights[lane];
    for (var k = 1u; k < 8u; k++) {
      sum += weights[lane + 16u * k];
    }
    shared_max[lane] = sum;
  }
  workgroupBarrier();
  var sum = vec4f(0.0);
  for (var k = 0u; k < 16u; k++) {
    sum += shared_max[k];
  }
  return sum;
}
