// measure_queries: sums of queries before their rotation, and of their products, to 48 bits.
//
//   sums[h, j] += q[j];  sums[h, head_dim (1 + i) + j] += q[i] q[j] for j >= i
//
// | binding | name    | access     | element   | shape                                         |
// |---------|---------|------------|-----------|-----------------------------------------------|
// | 0       | params  | uniform    | struct    | QuerySumsParams                               |
// | 1       | queries | read       | f32       | [n_queries, n_heads + 2 n_kv_heads, head_dim] |
// | 2       | table   | read       | f32       | [n_queries, head_dim]: cos, sin               |
// | 3       | sums    | read_write | vec2<f32> | [n_heads, head_dim (1 + head_dim)]: high, low |
//
// A lane takes a cell; queries pass by in tiles, one after the other: the same bits in parts or at
// once.
// Dispatch: (ceil(head_dim (1 + head_dim) / 256), n_heads, 1).
// Overrides: none.   Needs: none.   Lib: double_float.
// Reference: engine/reference/measure.ts#measureQueries.

const N_STAGED = 2048u;

struct QuerySumsParams {
  n_columns: u32, // heads of one query in `queries`
  n_queries: u32,
  queries_offset: u32,
  table_offset: u32,
  sums_offset: u32, // in vec2
  head_dim: u32,
  is_half_style: u32,
  zero: u32, // always 0: lib/double_float.wgsl
}

@group(0) @binding(0) var<uniform> params: QuerySumsParams;
@group(0) @binding(1) var<storage, read> queries: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<vec2f>;

var<workgroup> staged: array<f32, 2048>; // [queries of the tile, params.head_dim]

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = group.y;
  let cell = group.x * 256u + lane;
  let n_cells = params.head_dim * (1u + params.head_dim);
  let line = cell / params.head_dim; // 0: plain sums, then i + 1
  let j = cell - line * params.head_dim;
  let is_cell = cell < n_cells && (line == 0u || j + 1u >= line);
  let at = params.sums_offset + head * n_cells + cell;
  var sum = vec2f(0.0);
  if (is_cell) {
    sum = sums[at];
  }
  let tile_queries = N_STAGED / params.head_dim;
  for (var tile = 0u; tile < params.n_queries; tile += tile_queries) {
    let n_tile = min(tile_queries, params.n_queries - tile);
    workgroupBarrier();
    for (var i = lane; i < n_tile * params.head_dim / 2u; i += 256u) {
      stage(head, tile, i);
    }
    workgroupBarrier();
    if (is_cell) {
      for (var q = 0u; q < n_tile; q++) {
        let b = staged[q * params.head_dim + j];
        var term = vec2f(b, 0.0);
        if (line > 0u) {
          term = two_product(staged[q * params.head_dim + line - 1u], b);
        }
        sum = add_double(sum, term);
      }
    }
  }
  if (is_cell) {
    sums[at] = sum;
  }
}

// Pair `i` of the tile, turned back.
fn stage(head: u32, tile: u32, i: u32) {
  let q = i / (params.head_dim / 2u);
  let pair = i - q * (params.head_dim / 2u);
  let a = select(2u * pair, pair, params.is_half_style == 1u);
  let b = select(2u * pair + 1u, pair + params.head_dim / 2u, params.is_half_style == 1u);
  let from_at = params.queries_offset + ((tile + q) * params.n_columns + head) * params.head_dim;
  let angle_at = params.table_offset + (tile + q) * params.head_dim + 2u * pair;
  let cosine = table[angle_at];
  let sine = table[angle_at + 1u];
  let x = queries[from_at + a];
  let y = queries[from_at + b];
  staged[q * params.head_dim + a] = x * cosine + y * sine;
  staged[q * params.head_dim + b] = y * cosine - x * sine;
}
