// halves: f16 numbers of cached rows, widened. Subnormals may come as 0.

fn four_halves(words: vec2u) -> vec4f {
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn eight_halves(words: vec4u) -> array<vec4f, 2> {
  return array<vec4f, 2>(four_halves(words.xy), four_halves(words.zw));
}
