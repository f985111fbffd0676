// weights: widens eight weights at a time, of any tensor type (layout: ../../weight-layout.ts).
//
//   w = scale (code - ZERO) - minimum
//
// The file that uses it declares `weights`, read, array<u32>.

override CODE_KIND: u32 = 0u; // 0 unsigned, 1 signed bytes, 2 levels, 3 f32, 4 f16, 5 bf16
override CODE_WORDS: u32 = 4u; // words of codes for a group of 32 columns
override HIGH_WORDS: u32 = 0u; // words of further bits for a group
override SCALE_KIND: u32 = 1u; // 0 none, 1 half, 2 pair, 3 bytes
override SCALE_SIZE: u32 = 32u; // columns for one scale of kind 3: 16 or 32
override HAS_MINIMA: bool = false;
override ZERO: f32 = 0.0;

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

// Signed byte `index` of the bytes that begin at word `first`.
fn signed_byte(first: u32, index: u32) -> f32 {
  return f32(extractBits(i32(weights[first + (index >> 2u)]), (index & 3u) * 8u, 8u));
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

  let high = row + n_groups * CODE_WORDS;
  let scales = high + n_groups * HIGH_WORDS;
  var near = vec4f(0.0);
  var far = vec4f(0.0);
  if (CODE_KIND == 1u) {
    near = vec4f(unpack4xI8(weights[codes + j]));
    far = vec4f(unpack4xI8(weights[codes + 4u + j]));
  } else {
    let packed = weights[codes + j];
    var near_codes = packed & 0x0f0f0f0fu;
    var far_codes = (packed >> 4u) & 0x0f0f0f0fu;
    if (HIGH_WORDS == 1u) {
      let bits = weights[high + group] >> (2u * j);
      near_codes |= (bits & 0x01010101u) << 4u;
      far_codes |= ((bits >> 1u) & 0x01010101u) << 4u;
    } else if (HIGH_WORDS == 2u) {
      let bits = weights[high + 2u * group + (j >> 1u)] >> (4u * (j & 1u));
      near_codes |= (bits & 0x03030303u) << 4u;
      far_codes |= ((bits >> 2u) & 0x03030303u) << 4u;
    }
    if (CODE_KIND == 2u) {
      near = levels_of(near_codes);
      far = levels_of(far_codes);
    } else {
      near = vec4f(unpack4xU8(near_codes)) - ZERO;
      far = vec4f(unpack4xU8(far_codes)) - ZERO;
    }
  }

  if (SCALE_KIND == 1u) {
    let scale = unpack2x16float(weights[scales + (group >> 1u)])[group & 1u];
    return Unit(scale * near, scale * far);
  }
  if (SCALE_KIND == 2u) {
    let pair = unpack2x16float(weights[scales + group]);
    return Unit(pair.x * near + pair.y, pair.x * far + pair.y);
  }
  let n_super = n_groups >> 3u;
  let pair = unpack2x16float(weights[scales + (group >> 3u)]);
  let bytes = scales + n_super;
  let per_group = 32u / SCALE_SIZE;
  let index = group * per_group;
  let last = index + per_group - 1u;
  let near_scale = pair.x * signed_byte(bytes, index);
  let far_scale = pair.x * signed_byte(bytes, last);
  if (!HAS_MINIMA) {
    return Unit(near_scale * near, far_scale * far);
  }
  let minima = bytes + n_super * 64u / SCALE_SIZE;
  return Unit(
    near_scale * near - pair.y * signed_byte(minima, index),
    far_scale * far - pair.y * signed_byte(minima, last));
}

fn wide_pairs(a: u32, b: u32) -> vec4f {
  return bitcast<vec4f>(vec4u(a << 16u, a & 0xffff0000u, b << 16u, b & 0xffff0000u));
}
