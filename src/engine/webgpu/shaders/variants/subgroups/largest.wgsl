// largest, by subgroups: aligned runs of SUBGROUP invocations first, the rest over workgroup memory.
// Lib: order.

var<workgroup> pairs: array<vec2u, 32>;

// The largest over the 128 invocations of the workgroup, for invocation 0. In uniform control flow.
fn largest(local: u32, own: vec2u) -> vec2u {
  var best = own;
  for (var step = SUBGROUP / 2u; step > 0u; step >>= 1u) {
    best = larger(best, subgroupShuffleXor(best, step));
  }
  if (local % SUBGROUP == 0u) {
    pairs[local / SUBGROUP] = best;
  }
  workgroupBarrier();
  for (var run = 0u; run < 128u / SUBGROUP; run++) {
    best = larger(best, pairs[run]);
  }
  return best;
}
