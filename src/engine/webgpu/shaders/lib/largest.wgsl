// largest: the larger of pairs (ordered bits, index), the lower index on ties.

const NO_INDEX = 0xffffffffu;

var<workgroup> pairs: array<vec2u, 128>;

// Bits that ascend as the f32 with these bits do; -0 is 0. Integers, since compilers may assume that
// a float is never infinite.
fn ordered(bits: u32) -> u32 {
  let whole = select(bits, 0u, bits == 0x80000000u);
  return select(whole | 0x80000000u, ~whole, (whole & 0x80000000u) != 0u);
}

fn larger(a: vec2u, b: vec2u) -> vec2u {
  return select(a, b, b.x > a.x || (b.x == a.x && b.y < a.y));
}

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
