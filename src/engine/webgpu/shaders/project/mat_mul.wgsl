// mat_mul: projections of many tokens, by tiles of TILE_TOKENS tokens and 64 rows.
//
//   y[t, r] = sum_c weight[r, c] x[t, c]
//   out = y + bias | out + y | activation(y_gate) y_up               (mode STORE | ADD | IS_GATED)
//
// | binding | name    | access     | element | shape                           |
// |---------|---------|------------|---------|---------------------------------|
// | 0       | params  | uniform    | struct  | Params                          |
// | 1       | weights | read       | u32     | rows of weight-layout.ts        |
// | 2       | x       | read       | vec4f   | [n_tokens, n_groups 8]          |
// | 3       | bias_0  | read       | f32     | [n_rows of segment 0]           |
// | 4       | bias_1  | read       | f32     | [n_rows of segment 1]           |
// | 5       | bias_2  | read       | f32     | [n_rows of segment 2]           |
// | 6       | out     | read_write | f32     | [n_tokens, out_stride]          |
//
// Dispatch: (ceil(n_rows / 64), ceil(n_tokens / TILE_TOKENS)); with a gate a tile holds 32 rows of
// each matrix: (ceil(n_rows / 32), ceil(n_tokens / TILE_TOKENS)).
// Overrides: IS_GATED (false), TILE_TOKENS (64; or 32).  Needs: none.  Lib: weights, weight_codes,
// activate, tile_rows.
// Reference: engine/reference/engine.ts#normProject, #projectAdd, #normGateUp.

struct Params {
  n_groups: u32,
  row_words: u32,
  n_rows: u32, // of all segments; with a gate those of one of its two
  out_at: u32,
  out_stride: u32,
  x_at: u32, // in vec4f
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
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias_0: array<f32>;
@group(0) @binding(4) var<storage, read> bias_1: array<f32>;
@group(0) @binding(5) var<storage, read> bias_2: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

override IS_GATED: bool = false;
override TILE_TOKENS: u32 = 64u;

const TILE = 64u; // rows

// [TILE][8]: 32 columns of each token and of each row. Column k of row r lies at k ^ (r & 7), so
// that rows which are read together lie in different banks.
var<workgroup> tile_x: array<vec4f, 512>;
var<workgroup> tile_w: array<vec4f, 512>;

@compute @workgroup_size(256)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
) {
  let n_groups = params.n_groups;
  let first_token = workgroup.y * TILE_TOKENS;
  let first_row = workgroup.x * select(TILE, TILE / 2u, IS_GATED);

  // What this invocation carries into the tiles: unit j of one token and of one row.
  let carried = local >> 2u;
  let j = local & 3u;
  let near_slot = carried * 8u + (j ^ (carried & 7u));
  let far_slot = carried * 8u + ((j + 4u) ^ (carried & 7u));
  let token = min(first_token + carried, params.n_tokens - 1u);
  let x_at = params.x_at + token * 8u * n_groups + j;
  var words = row_words_of(first_row + carried);
  if (IS_GATED) {
    let row = min(first_row + (carried & 31u), params.n_rows - 1u);
    words = select(params.weight_0, params.weight_1, carried >= 32u) + row * params.row_words;
  }

  // What it computes: tokens down + 16 a, rows across + 16 b.
  let across = local & 15u;
  let down = local >> 4u;
  let x_row = down * 8u;
  let w_row = across * 8u;
  let x_bank = down & 7u;
  let w_bank = across & 7u;
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

  // Each round loads a group before it computes on the one before: the loads have time to come.
  for (var group = 0u; group <= n_groups; group++) {
    let next = min(group, n_groups - 1u);
    let unit = load_unit(words, n_groups, next, j);
    var x_near = vec4f(0.0);
    var x_far = vec4f(0.0);
    if (carried < TILE_TOKENS) {
      x_near = x[x_at + next * 8u];
      x_far = x[x_at + next * 8u + 4u];
    }
    if (group > 0u) {
      workgroupBarrier();
      for (var k = 0u; k < 8u; k++) {
        let at = w_row + (k ^ w_bank);
        let w_0 = tile_w[at];
        let w_1 = tile_w[at + 128u];
        let w_2 = tile_w[at + 256u];
        let w_3 = tile_w[at + 384u];
        let w_x = vec4f(w_0.x, w_1.x, w_2.x, w_3.x);
        let w_y = vec4f(w_0.y, w_1.y, w_2.y, w_3.y);
        let w_z = vec4f(w_0.z, w_1.z, w_2.z, w_3.z);
        let w_w = vec4f(w_0.w, w_1.w, w_2.w, w_3.w);
        let origin = x_row + (k ^ x_bank);
        let x_0 = tile_x[origin];
        let x_1 = tile_x[origin + 128u];
        sums_0 = fma(w_x, vec4f(x_0.x), sums_0);
        sums_0 = fma(w_y, vec4f(x_0.y), sums_0);
        sums_0 = fma(w_z, vec4f(x_0.z), sums_0);
        sums_0 = fma(w_w, vec4f(x_0.w), sums_0);
        sums_1 = fma(w_x, vec4f(x_1.x), sums_1);
        sums_1 = fma(w_y, vec4f(x_1.y), sums_1);
        sums_1 = fma(w_z, vec4f(x_1.z), sums_1);
        sums_1 = fma(w_w, vec4f(x_1.w), sums_1);
        if (TILE_TOKENS > 32u) {
          let x_2 = tile_x[origin + 256u];
          let x_3 = tile_x[origin + 384u];
          sums_2 = fma(w_x, vec4f(x_2.x), sums_2);
          sums_2 = fma(w_y, vec4f(x_2.y), sums_2);
          sums_2 = fma(w_z, vec4f(x_2.z), sums_2);
          sums_2 = fma(w_w, vec4f(x_2.w), sums_2);
          sums_3 = fma(w_x, vec4f(x_3.x), sums_3);
          sums_3 = fma(w_y, vec4f(x_3.y), sums_3);
          sums_3 = fma(w_z, vec4f(x_3.z), sums_3);
          sums_3 = fma(w_w, vec4f(x_3.w), sums_3);
        }
      }
      workgroupBarrier();
    }
    tile_w[near_slot] = unit.near;
    tile_w[far_slot] = unit.far;
    if (carried < TILE_TOKENS) {
      tile_x[near_slot] = x_near;
      tile_x[far_slot] = x_far;
    }
  }

  let sums = array<vec4f, 4>(sums_0, sums_1, sums_2, sums_3);
  for (var a = 0u; a < TILE_TOKENS / 16u; a++) {
    let token_out = first_token + down + 16u * a;
    if (token_out < params.n_tokens) {
      put(params.out_at + token_out * params.out_stride, first_row + across, sums[a]);
    }
  }
}
