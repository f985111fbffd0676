// weights: widens eight weights at a time, of any tensor type. Lib: weight_codes.
//
// The file that uses it declares `weights`, read, array<u32>.

// Columns 4j .. 4j + 4 and 16 + 4j .. 16 + 4j + 4 of a group.
struct Unit {
  near: vec4f,
  far: vec4f,
}

// IQ4_NL and IQ4_XS, as signed bytes: -127 -104 -83 -65, -49 -35 -22 -10, 1 13 25 38, 53 69 89 113.
const LEVELS = vec4u(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u);

fn levels_of(codes: u32) -> vec4f {
  let index = unpack4xU8(codes);
  return vec4f(level(index.x), level(index.y), level(index.z), level(index.w));
}

fn level(code: u32) -> f32 {
  return f32(extractBits(i32(LEVELS[(code >> 2u) & 3u]), (code & 3u) * 8u, 8u));
}

// Unit `j` of group `group` in the row that begins at word `row` and has `n_groups` groups.
fn load_unit(row: u32, n_groups: u32, group: u32, j: u32) -> Unit {
  let codes = row + group * CODE_WORDS;
  if (CODE_KIND == 3u) {
    let at = codes + 4u * j;
    let near = vec4u(weights[at], weights[at + 1u], weights[at + 2u], weights[at + 3u]);
    let far = vec4u(weights[at + 16u], weights[at + 17u], weights[at + 18u], weights[at + 19u]);
    return Unit(bitcast<vec4f>(near), bitcast<vec4f>(far));
  }
  if (CODE_KIND == 4u) {
    let at = codes + 2u * j;
    return Unit(
      vec4f(unpack2x16float(weights[at]), unpack2x16float(weights[at + 1u])),
      vec4f(unpack2x16float(weights[at + 8u]), unpack2x16float(weights[at + 9u])));
  }
  if (CODE_KIND == 5u) {
    let at = codes + 2u * j;
    return Unit(
      wide_pairs(weights[at], weights[at + 1u]), wide_pairs(weights[at + 8u], weights[at + 9u]));
  }

  let packed = load_codes(row, n_groups, group, j);
  var near = vec4f(0.0);
  var far = vec4f(0.0);
  if (CODE_KIND == 1u) {
    near = vec4f(unpack4xI8(packed.x));
    far = vec4f(unpack4xI8(packed.y));
  } else if (CODE_KIND == 2u) {
    near = levels_of(packed.x);
    far = levels_of(packed.y);
  } else {
    near = vec4f(unpack4xU8(packed.x)) - ZERO;
    far = vec4f(unpack4xU8(packed.y)) - ZERO;
  }
  let scales = load_scales(row, n_groups, group);
  return Unit(
    scales.near * near - scales.near_minimum, scales.far * far - scales.far_minimum);
}

fn wide_pairs(a: u32, b: u32) -> vec4f {
  return bitcast<vec4f>(vec4u(a << 16u, a & 0xffff0000u, b << 16u, b & 0xffff0000u));
}
