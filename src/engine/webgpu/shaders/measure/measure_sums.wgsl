// measure_sums: the attention that each row gets from the queries, summed in their order.
//
//   out[h, r] (+)= sum over queries t that see r of exp(scale q.k[r] - max[t]) / sum[t]
//
// | binding | name      | access     | element   | shape                                         |
// |---------|-----------|------------|-----------|-----------------------------------------------|
// | 0       | params    | uniform    | struct    | MeasureParams                                 |
// | 1       | queries   | read       | vec4<f32> | [n_queries, n_heads + 2 n_kv_heads, head_dim] |
// | 2       | keys      | read       | vec2<u32> | [n_rows, head_dim] f32, or f16 in pairs       |
// | 3       | positions | read       | u32       | [n_rows]                                      |
// | 4       | stats     | read       | vec2<f32> | [n_heads, n_queries]: max, 1 / sum            |
// | 5       | out       | read_write | f32       | [n_heads, stride]                             |
//
// A lane holds one row of one head; the queries come to all lanes of the workgroup, tile by tile, and
// each lane adds up its row's column, query after query: in parts or at once, the same bits. Cells past
// the head's length are 0.
// Dispatch: (ceil(stride / 128), query heads of this call, 1).
// Overrides: none.   Needs: none.   Lib: measured_rows.
// Reference: engine/reference/engine.ts#measureWindow.

const LANES = 128u;
// Bits of `flags`.
const IS_ADDED = 1u;

@group(0) @binding(0) var<uniform> params: MeasureParams;
@group(0) @binding(1) var<storage, read> queries: array<vec4f>;
@group(0) @binding(2) var<storage, read> keys: array<vec2u>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read> stats: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

var<workgroup> tile_queries: array<vec4f, TILE_ROOM>; // [TILE_SIZE, N_QUADS]
var<workgroup> tile_stats: array<vec2f, TILE_SIZE>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = params.first_kv_head * params.n_groups + group.y;
  let place = params.heads[group.y / params.n_groups];
  let first_row = group.x * LANES;
  let row = first_row + lane;

  // Query t sees rows below n_before + t + 1: earlier ones see none of this workgroup's rows.
  let n_before = i32(place.y) - i32(params.n_queries);
  let oldest = u32(max(0, i32(first_row) - n_before));
  let n_queries = select(params.n_queries, 0u, first_row >= place.y);
  // The first query that sees the row; the window's rule comes on top.
  let first_query = select(2147483647, i32(row) - n_before, row < place.y);
  var position = 0u;
  if (params.window > 0u && row < place.y) {
    position = positions[params.positions_offset + place.x + row];
  }
  let cell = params.out_offset + head * params.stride + row;
  let is_cell = row < params.stride;
  var sum = 0.0;
  if (is_cell && (params.flags & IS_ADDED) != 0u) {
    sum = out[cell];
  }
  var key = array<vec4f, N_QUADS>();
  for (var k = 0u; k < N_QUADS; k++) {
    key[k] = key_quad(place, row, k);
  }
  for (var tile = oldest; tile < n_queries; tile += TILE_SIZE) {
    workgroupBarrier();
    for (var i = lane; i < TILE_SIZE * N_QUADS; i += LANES) {
      tile_queries[i] = query_quad(tile + i / N_QUADS, head, i % N_QUADS);
    }
    if (lane < TILE_SIZE) {
      tile_stats[lane] = stat(head, tile + lane);
    }
    workgroupBarrier();
    for (var j = 0u; j < TILE_SIZE; j += 4u) {
      var score = vec4f(0.0);
      for (var k = 0u; k < N_QUADS; k++) {
        let at = j * N_QUADS + k;
        let own = key[k];
        score += vec4f(
          dot(tile_queries[at], own),
          dot(tile_queries[at + N_QUADS], own),
          dot(tile_queries[at + 2u * N_QUADS], own),
          dot(tile_queries[at + 3u * N_QUADS], own),
        );
      }
      for (var i = 0u; i < 4u; i++) {
        let t = tile + j + i;
        let near = params.window == 0u || params.first_position + t - position < params.window;
        let is_seen = near && i32(t) >= first_query && t < n_queries;
        let own = tile_stats[j + i];
        sum += select(0.0, exp(score[i] - own.x) * own.y, is_seen);
      }
    }
  }
  if (is_cell) {
    out[cell] = sum;
  }
}

fn stat(head: u32, t: u32) -> vec2f {
  let last = max(params.n_queries, 1u) - 1u;
  return stats[params.stats_offset + head * params.n_queries + min(t, last)];
}
