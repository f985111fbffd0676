// halves, by shader-f16: f16 numbers of cached rows, widened. Subnormals may come as 0.

fn four_halves(words: vec2u) -> vec4f {
  return vec4f(bitcast<vec4<f16>>(words));
}

fn eight_halves(words: vec4u) -> array<vec4f, 2> {
  return array<vec4f, 2>(four_halves(words.xy), four_halves(words.zw));
}
