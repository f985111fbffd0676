// sum_workgroup, by subgroups: aligned runs of SUBGROUP invocations first, the rest over workgroup
// memory.

var<workgroup> partials: array<f32, 32>;

// The sum over the 128 invocations of the workgroup, in all of them. In uniform control flow, once.
fn sum_workgroup(local: u32, own: f32) -> f32 {
  var sum = own;
  for (var step = SUBGROUP / 2u; step > 0u; step >>= 1u) {
    sum += subgroupShuffleXor(sum, step);
  }
  if (local % SUBGROUP == 0u) {
    partials[local / SUBGROUP] = sum;
  }
  workgroupBarrier();
  var all = 0.0;
  for (var run = 0u; run < 128u / SUBGROUP; run++) {
    all += partials[run];
  }
  return all;
}
