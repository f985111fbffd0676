// largest: the larger of pairs (ordered bits, index), the lower index on ties. Lib: order.

var<workgroup> pairs: array<vec2u, 128>;

// The largest over the 128 invocations of the workgroup, for invocation 0. In uniform control flow.
fn largest(local: u32, own: vec2u) -> vec2u {
  pairs[local] = own;
  workgroupBarrier();
  for (var step = 64u; step > 0u; step >>= 1u) {
    if (local < step) {
      pairs[local] = larger(pairs[local], pairs[local + step]);
    }
    workgroupBarrier();
  }
  return pairs[0];
}
