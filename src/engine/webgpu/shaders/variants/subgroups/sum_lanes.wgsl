// sum_lanes, by subgroups: aligned runs of SUBGROUP invocations first, the rest over workgroup memory.
//
// The file that uses it declares `partials`, workgroup, array<vec4f, invocations>.

// The sum over each run of `lanes` invocations, a power of two, in all of them. In uniform control
// flow; a barrier stands between two calls.
fn sum_lanes(local: u32, lanes: u32, own: vec4f) -> vec4f {
  let run = min(lanes, SUBGROUP);
  var sum = own;
  for (var step = run / 2u; step > 0u; step >>= 1u) {
    sum += subgroupShuffleXor(sum, step);
  }
  if (run == lanes) {
    return sum;
  }
  partials[local] = sum;
  workgroupBarrier();
  let first = local & ~(lanes - 1u);
  var all = vec4f(0.0);
  for (var at = first; at < first + lanes; at += run) {
    all += partials[at];
  }
  return all;
}
