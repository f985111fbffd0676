// embed: rows of a matrix by token.
//
//   out[t, c] = weight[token[t], c] scale
//
// Tokens whose rows lie in another part of the matrix are left alone.
//
// | binding | name    | access     | element | shape                    |
// |---------|---------|------------|---------|--------------------------|
// | 0       | params  | uniform    | struct  | Params                   |
// | 1       | weights | read       | u32     | rows of weight-layout.ts |
// | 2       | tokens  | read       | u32     | [n_tokens]               |
// | 3       | out     | read_write | f32     | [n_tokens, n_cols]       |
//
// Dispatch: (ceil(4 n_groups / 64), n_tokens); one invocation for each unit of eight columns.
// Overrides: those of the library.  Needs: none.  Lib: weights, weight_codes.
// Reference: engine/reference/engine.ts#embed.

struct Params {
  n_groups: u32,
  row_words: u32,
  n_cols: u32,
  weight: u32,
  first_row: u32,
  n_rows: u32,
  tokens_at: u32,
  out_at: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<u32>;
@group(0) @binding(2) var<storage, read> tokens: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = tokens[params.tokens_at + id.y] - params.first_row;
  if (id.x >= 4u * params.n_groups || row >= params.n_rows) {
    return;
  }
  let group = id.x >> 2u;
  let j = id.x & 3u;
  let unit = load_unit(params.weight + row * params.row_words, params.n_groups, group, j);
  let near = 32u * group + 4u * j;
  let at = params.out_at + id.y * params.n_cols;
  for (var i = 0u; i < 4u; i++) {
    if (near + i < params.n_cols) {
      out[at + near + i] = unit.near[i] * params.scale;
    }
    if (near + 16u + i < params.n_cols) {
      out[at + near + 16u + i] = unit.far[i] * params.scale;
    }
  }
}
