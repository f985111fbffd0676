// mat_mul_q8: mat_mul over tokens as signed bytes (quantize.wgsl), by tiles of 64 tokens and 64 rows.
//
//   y[t, r] = sum_g x_scale[t, g] sum_(c in g) weight[r, c] x[t, c]
//   out = y + bias | out + y | activation(y_gate) y_up               (mode STORE | ADD | IS_GATED)
//
// | binding | name    | access     | element | shape                           |
// |---------|---------|------------|---------|---------------------------------|
// | 0       | params  | uniform    | struct  | Params                          |
// | 1       | weights | read       | u32     | rows of weight-layout.ts        |
// | 2       | x       | read       | vec4u   | [n_tokens, n_groups 2]          |
// | 3       | scales  | read       | f32     | [n_tokens, n_groups]            |
// | 4       | bias_0  | read       | f32     | [n_rows of segment 0]           |
// | 5       | bias_1  | read       | f32     | [n_rows of segment 1]           |
// | 6       | bias_2  | read       | f32     | [n_rows of segment 2]           |
// | 7       | out     | read_write | f32     | [n_tokens, out_stride]          |
//
// Dispatch: (ceil(n_rows / 64), ceil(n_tokens / 64)); with a gate a tile holds 32 rows of
// each matrix: (ceil(n_rows / 32), ceil(n_tokens / 64)).
// Overrides: IS_GATED (false).  Needs: none.  Lib: weight_codes, dot_codes, activate, tile_rows.
// Reference: engine/reference/engine.ts#normProject, #projectAdd, #normGateUp.

struct Params {
  n_groups: u32,
  row_words: u32,
  n_rows: u32, // of all segments; with a gate those of one of its two
  out_at: u32,
  out_stride: u32,
  x_at: u32, // in vec4u
  n_tokens: u32,
  bias_mask: u32, // bit s: segment s has a bias
  // Segment s holds rows end[s - 1] .. end[s] of the output, its weights begin at word weight[s].
  end_0: u32,
  end_1: u32,
  weight_0: u32,
  weight_1: u32, // with a gate: of the other matrix
  weight_2: u32,
  bias_at_0: u32,
  bias_at_1: u32,
  bias_at_2: u32,
  mode: u32, // STORE, ADD; with a gate SILU, GELU
  scales_at: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4u>;
@group(0) @binding(3) var<storage, read> scales: array<f32>;
@group(0) @binding(4) var<storage, read> bias_0: array<f32>;
@group(0) @binding(5) var<storage, read> bias_1: array<f32>;
@group(0) @binding(6) var<storage, read> bias_2: array<f32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;

override IS_GATED: bool = false;

const TILE = 64u;

// Halves of a group, 16 columns, of each token and of each row: [TILE][2].
var<workgroup> tile_x: array<vec4u, 128>;
var<workgroup> tile_w: array<vec4u, 128>;
var<workgroup> scales_x: array<vec2f, 128>; // scale, and that times the sum of the codes
var<workgroup> scales_w: array<vec2f, 128>; // w = scale code + offset

@compute @workgroup_size(256)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
) {
  let n_groups = params.n_groups;
  let first_token = workgroup.y * TILE;
  let first_row = workgroup.x * select(TILE, TILE / 2u, IS_GATED);

  // What this invocation carries into the tiles: half of a group of one row or of one token.
  let slot = local & 127u;
  let side = slot & 1u;
  let carried = slot >> 1u;
  let token = min(first_token + carried, params.n_tokens - 1u);
  var words = row_words_of(first_row + carried);
  if (IS_GATED) {
    let row = min(first_row + (carried & 31u), params.n_rows - 1u);
    words = select(params.weight_0, params.weight_1, carried >= 32u) + row * params.row_words;
  }

  // What it computes: tokens down + 16 a, rows across + 16 b.
  let across = local & 15u;
  let down = local >> 4u;
  var bias = vec4f(0.0);
  if (params.bias_mask != 0u) {
    for (var b = 0u; b < 4u; b++) {
      bias[b] = bias_of(first_row + across + 16u * b);
    }
  }
  var sums_0 = bias;
  var sums_1 = bias;
  var sums_2 = bias;
  var sums_3 = bias;

  for (var group = 0u; group < n_groups; group++) {
    workgroupBarrier();
    if (local < 128u) {
      carry_row(slot, side, words, group);
    } else {
      let codes = x[params.x_at + (token * n_groups + group) * 2u + side];
      let ones = vec4u(0x01010101u);
      let scale = scales[params.scales_at + token * n_groups + group];
      tile_x[slot] = codes;
      scales_x[slot] = vec2f(scale, scale * f32(dot_half(ones, codes)));
    }
    workgroupBarrier();
    for (var h = 0u; h < 2u; h++) {
      let at = 2u * down + h;
      sums_0 += products(across, h, at);
      sums_1 += products(across, h, at + 32u);
      sums_2 += products(across, h, at + 64u);
      sums_3 += products(across, h, at + 96u);
    }
  }

  let sums = array<vec4f, 4>(sums_0, sums_1, sums_2, sums_3);
  for (var a = 0u; a < 4u; a++) {
    let token_out = first_token + down + 16u * a;
    if (token_out < params.n_tokens) {
      put(params.out_at + token_out * params.out_stride, first_row + across, sums[a]);
    }
  }
}

fn carry_row(slot: u32, side: u32, words: u32, group: u32) {
  let n_groups = params.n_groups;
  var codes = vec4u(0u);
  for (var j = 0u; j < 4u; j++) {
    codes[j] = load_codes(words, n_groups, group, j)[side];
  }
  let found = load_scales(words, n_groups, group);
  let scale = select(found.near, found.far, side == 1u);
  let minimum = select(found.near_minimum, found.far_minimum, side == 1u);
  tile_w[slot] = codes;
  scales_w[slot] = vec2f(scale, -(scale * ZERO + minimum));
}

// Half `h` of the group: rows across + 16 b with the token's half at `at`.
fn products(across: u32, h: u32, at: u32) -> vec4f {
  let codes = tile_x[at];
  let token = scales_x[at];
  let first = 2u * across + h;
  return vec4f(
    product(first, codes, token),
    product(first + 32u, codes, token),
    product(first + 64u, codes, token),
    product(first + 96u, codes, token));
}

fn product(slot: u32, codes: vec4u, token: vec2f) -> f32 {
  let row = scales_w[slot];
  return row.x * token.x * f32(dot_half(tile_w[slot], codes)) + row.y * token.y;
}

fn dot_half(a: vec4u, b: vec4u) -> i32 {
  return dot_codes(a.x, b.x) + dot_codes(a.y, b.y) + dot_codes(a.z, b.z) + dot_codes(a.w, b.w);
}
