// order: pairs (ordered bits, index), by which the larger f32 and then the lower index comes first.

const NO_INDEX = 0xffffffffu;

// Bits that ascend as the f32 with these bits do; -0 is 0. Integers, since compilers may assume that
// a float is never infinite.
fn ordered(bits: u32) -> u32 {
  let whole = select(bits, 0u, bits == 0x80000000u);
  return select(whole | 0x80000000u, ~whole, (whole & 0x80000000u) != 0u);
}

fn larger(a: vec2u, b: vec2u) -> vec2u {
  return select(a, b, b.x > a.x || (b.x == a.x && b.y < a.y));
}
