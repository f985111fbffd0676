// Products of a query and a key, added in one order wherever they are computed: a score minus the
// largest score is then exactly 0 for the row that it came from.

fn multiply_add(a: vec4f, b: vec4f, sum: vec4f) -> vec4f {
  return fma(a, b, sum);
}

fn sum_quad(quad: vec4f) -> f32 {
  let pair = quad.xy + quad.zw;
  return pair.x + pair.y;
}
