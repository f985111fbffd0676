// weight_codes: a matrix's codes and scales, of any tensor type (layout: webgpu/weights/weight-layout.ts).
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

// For columns 0 .. 16 of a group ("near") and 16 .. 32 ("far").
struct Scales {
  near: f32,
  far: f32,
  near_minimum: f32,
  far_minimum: f32,
}

// Signed byte `index` of the bytes that begin at word `first`.
fn signed_byte(first: u32, index: u32) -> f32 {
  return f32(extractBits(i32(weights[first + (index >> 2u)]), (index & 3u) * 8u, 8u));
}

// Codes of columns 4j .. 4j + 4 and 16 + 4j .. 16 + 4j + 4 of a group, a byte each: signed ones of
// kind 1, else unsigned and below 64.
fn load_codes(row: u32, n_groups: u32, group: u32, j: u32) -> vec2u {
  let codes = row + group * CODE_WORDS;
  if (CODE_KIND == 1u) {
    return vec2u(weights[codes + j], weights[codes + 4u + j]);
  }
  let high = row + n_groups * CODE_WORDS;
  let packed = weights[codes + j];
  var near = packed & 0x0f0f0f0fu;
  var far = (packed >> 4u) & 0x0f0f0f0fu;
  if (HIGH_WORDS == 1u) {
    let bits = weights[high + group] >> (2u * j);
    near |= (bits & 0x01010101u) << 4u;
    far |= ((bits >> 1u) & 0x01010101u) << 4u;
  } else if (HIGH_WORDS == 2u) {
    let bits = weights[high + 2u * group + (j >> 1u)] >> (4u * (j & 1u));
    near |= (bits & 0x03030303u) << 4u;
    far |= ((bits >> 2u) & 0x03030303u) << 4u;
  }
  return vec2u(near, far);
}

fn load_scales(row: u32, n_groups: u32, group: u32) -> Scales {
  let scales = row + n_groups * (CODE_WORDS + HIGH_WORDS);
  if (SCALE_KIND == 1u) {
    let scale = unpack2x16float(weights[scales + (group >> 1u)])[group & 1u];
    return Scales(scale, scale, 0.0, 0.0);
  }
  if (SCALE_KIND == 2u) {
    let pair = unpack2x16float(weights[scales + group]);
    return Scales(pair.x, pair.x, -pair.y, -pair.y);
  }
  let n_super = n_groups >> 3u;
  let pair = unpack2x16float(weights[scales + (group >> 3u)]);
  let bytes = scales + n_super;
  let per_group = 32u / SCALE_SIZE;
  let index = group * per_group;
  let last = index + per_group - 1u;
  let near = pair.x * signed_byte(bytes, index);
  let far = pair.x * signed_byte(bytes, last);
  if (!HAS_MINIMA) {
    return Scales(near, far, 0.0, 0.0);
  }
  let minima = bytes + n_super * 64u / SCALE_SIZE;
  return Scales(near, far, pair.y * signed_byte(minima, index), pair.y * signed_byte(minima, last));
}
