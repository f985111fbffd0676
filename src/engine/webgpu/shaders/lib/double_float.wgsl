// Numbers of about 48 bits as a sum of two f32. `opaque` keeps compilers that treat f32 as real
// numbers from proving every error term to be zero. Source: Dekker 1971; Knuth, TAOCP 2, 4.2.2.

// x, through bits that the compiler cannot know: params.zero is 0.
fn opaque(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) ^ params.zero);
}

// a + b, exact: (rounded sum, error).
fn two_sum(a: f32, b: f32) -> vec2f {
  let sum = opaque(a + b);
  let b_part = opaque(sum - a);
  let a_part = opaque(sum - b_part);
  return vec2f(sum, opaque(a - a_part) + opaque(b - b_part));
}

// a * b, exact short of underflow: (rounded product, error).
fn two_product(a: f32, b: f32) -> vec2f {
  let product = opaque(a * b);
  let a_high = bitcast<f32>(bitcast<u32>(a) & 0xfffff000u);
  let b_high = bitcast<f32>(bitcast<u32>(b) & 0xfffff000u);
  let a_low = opaque(a - a_high);
  let b_low = opaque(b - b_high);
  let rest = opaque(opaque(a_high * b_high) - product);
  let crossed = opaque(opaque(rest + opaque(a_high * b_low)) + opaque(a_low * b_high));
  return vec2f(product, opaque(crossed + opaque(a_low * b_low)));
}

// The sum of two such numbers.
fn add_double(a: vec2f, b: vec2f) -> vec2f {
  let high = two_sum(a.x, b.x);
  let low = two_sum(a.y, b.y);
  let first = two_sum(high.x, opaque(high.y + low.x));
  return two_sum(first.x, opaque(first.y + low.y));
}
