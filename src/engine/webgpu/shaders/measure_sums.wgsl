// measure_sums: the attention that each row gets from the queries, summed in their order.
//
//   out[h, r] (+)= sum over queries q that see r of exp(scale q.k[r] - max[q]) / sum[q]
//
// | binding | name      | access     | element   | shape                                         |
// |---------|-----------|------------|-----------|-----------------------------------------------|
// | 0       | params    | uniform    | struct    | MeasureParams                                 |
// | 1       | queries   | read       | vec4<f32> | [n_queries, n_heads + 2 n_kv_heads, HEAD_DIM] |
// | 2       | keys      | read       | vec2<u32> | [n_rows, HEAD_DIM] f32, or f16 in pairs       |
// | 3       | positions | read       | u32       | [n_rows]                                      |
// | 4       | stats     | read       | vec2<f32> | [n_heads, n_queries]: max, 1 / sum            |
// | 5       | out       | read_write | f32       | [n_heads, stride]                             |
//
// A lane takes a row of one head, its key in registers; queries pass by in tiles. Cells past the
// head's length are 0.
// Dispatch: (ceil(stride / 64), query heads of this call, 1).
// Overrides: HEAD_DIM (64), at most 256; IS_F16 (true).   Needs: none.   Lib: row_dot.
// Reference: engine/reference/engine.ts#measureWindow.

override HEAD_DIM: u32 = 64u;
override IS_F16: bool = true;

const N_STAGED = 512u; // quads of queries
const MAX_QUADS = 64u;

struct MeasureParams {
  n_groups: u32,
  n_heads: u32,
  n_kv_heads: u32,
  first_kv_head: u32,
  n_queries: u32,
  first_position: u32,
  window: u32,
  scale: f32,
  queries_offset: u32, // in vec4
  keys_offset: u32, // in vec2
  positions_offset: u32,
  stats_offset: u32, // in vec2
  out_offset: u32,
  stride: u32,
  is_added: u32,
  padding: u32,
  heads: array<vec4u, 12>, // start, length
}

@group(0) @binding(0) var<uniform> params: MeasureParams;
@group(0) @binding(1) var<storage, read> queries: array<vec4f>;
@group(0) @binding(2) var<storage, read> keys: array<vec2u>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read> stats: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

var<workgroup> staged: array<vec4f, 512>; // [queries of the tile, HEAD_DIM / 4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i_kv = group.y / params.n_groups;
  let head = params.first_kv_head * params.n_groups + group.y;
  let place = params.heads[i_kv];
  let row = group.x * 64u + lane;
  let n_quads = HEAD_DIM / 4u;
  let n_columns = params.n_heads + 2u * params.n_kv_heads;
  let is_row = row < place.y;

  var key = array<vec4f, MAX_QUADS>();
  var position = 0u;
  if (is_row) {
    for (var k = 0u; k < n_quads; k++) {
      key[k] = key_quad((place.x + row) * n_quads + k);
    }
    position = positions[params.positions_offset + place.x + row];
  }
  let cell = params.out_offset + head * params.stride + row;
  var sum = 0.0;
  if (params.is_added == 1u && row < params.stride) {
    sum = out[cell];
  }
  // Query t sees rows below n_before + t + 1: earlier ones see none of this workgroup's rows.
  let n_before = i32(place.y) - i32(params.n_queries);
  let oldest = u32(max(0, i32(group.x * 64u) - n_before));
  let tile_queries = N_STAGED / n_quads;
  let n_queries = select(params.n_queries, 0u, group.x * 64u >= place.y);
  for (var tile = oldest; tile < n_queries; tile += tile_queries) {
    let n_tile = min(tile_queries, n_queries - tile);
    workgroupBarrier();
    for (var i = lane; i < n_tile * n_quads; i += 64u) {
      let q = i / n_quads;
      let at = ((tile + q) * n_columns + head) * n_quads + i - q * n_quads;
      staged[i] = queries[params.queries_offset + at];
    }
    workgroupBarrier();
    for (var q = 0u; q < n_tile; q++) {
      let t = tile + q;
      var is_seen = is_row && i32(row) < n_before + i32(t) + 1;
      if (params.window > 0u) {
        is_seen = is_seen && params.first_position + t - position < params.window;
      }
      if (is_seen) {
        var products = vec4f(0.0);
        for (var k = 0u; k < n_quads; k++) {
          products = multiply_add(staged[q * n_quads + k], key[k], products);
        }
        let score = params.scale * sum_quad(products);
        let stat = stats[params.stats_offset + head * params.n_queries + t];
        sum += exp(score - stat.x) * stat.y;
      }
    }
  }
  if (row < params.stride) {
    out[cell] = sum;
  }
}

fn key_quad(cell: u32) -> vec4f {
  if (IS_F16) {
    let words = keys[params.keys_offset + cell];
    return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
  }
  let at = params.keys_offset + 2u * cell;
  return bitcast<vec4f>(vec4u(keys[at], keys[at + 1u]));
}
