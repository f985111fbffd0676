// sum_lanes: sums over runs of invocations.
//
// The file that uses it declares `partials`, workgroup, array<vec4f, invocations>.

// The sum over each run of `lanes` invocations, a power of two, in all of them. In uniform control
// flow; a barrier stands between two calls.
fn sum_lanes(local: u32, lanes: u32, own: vec4f) -> vec4f {
  let lane = local & (lanes - 1u);
  partials[local] = own;
  workgroupBarrier();
  for (var step = lanes / 2u; step > 0u; step >>= 1u) {
    if (lane < step) {
      partials[local] += partials[local + step];
    }
    workgroupBarrier();
  }
  return partials[local - lane];
}
