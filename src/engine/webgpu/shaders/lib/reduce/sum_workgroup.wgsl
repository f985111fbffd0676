// sum_workgroup: a sum over the workgroup.

var<workgroup> partials: array<f32, 128>;

// The sum over the 128 invocations of the workgroup, in all of them. In uniform control flow, once.
fn sum_workgroup(local: u32, own: f32) -> f32 {
  partials[local] = own;
  workgroupBarrier();
  for (var step = 64u; step > 0u; step >>= 1u) {
    if (local < step) {
      partials[local] += partials[local + step];
    }
    workgroupBarrier();
  }
  return partials[0];
}
