// attend_reduce, by subgroups: aligned runs of SUBGROUP invocations first, the rest over workgroup
// memory.
//
// The file that uses it declares `shared_max`, workgroup, array<vec4f, 32>. In uniform control flow; a
// barrier stands between two calls.

// The largest of every lane's `own`, in all lanes.
fn max_of_lanes(lane: u32, own: vec4f) -> vec4f {
  var most = own;
  for (var step = SUBGROUP / 2u; step > 0u; step >>= 1u) {
    most = max(most, subgroupShuffleXor(most, step));
  }
  if (lane % SUBGROUP == 0u) {
    shared_max[lane / SUBGROUP] = most;
  }
  workgroupBarrier();
  for (var run = 0u; run < 128u / SUBGROUP; run++) {
    most = max(most, shared_max[run]);
  }
  return most;
}

// The sum of every lane's `own`, in all lanes.
fn sum_of_lanes(lane: u32, own: vec4f) -> vec4f {
  var sum = own;
  for (var step = SUBGROUP / 2u; step > 0u; step >>= 1u) {
    sum += subgroupShuffleXor(sum, step);
  }
  if (lane % SUBGROUP == 0u) {
    shared_max[lane / SUBGROUP] = sum;
  }
  workgroupBarrier();
  var all = vec4f(0.0);
  for (var run = 0u; run < 128u / SUBGROUP; run++) {
    all += shared_max[run];
  }
  return all;
}
