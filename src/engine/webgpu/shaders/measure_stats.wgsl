// measure_stats: what is needed of every query's softmax over its rows to know each weight.
//
//   stats[h, q] = (max over r of scale q.k[r], 1 / sum over r of exp(scale q.k[r] - max))
//
// | binding | name      | access     | element   | shape                                         |
// |---------|-----------|------------|-----------|-----------------------------------------------|
// | 0       | params    | uniform    | struct    | MeasureParams                                 |
// | 1       | queries   | read       | vec4<f32> | [n_queries, n_heads + 2 n_kv_heads, HEAD_DIM] |
// | 2       | keys      | read       | vec2<u32> | [n_rows, HEAD_DIM] f32, or f16 in pairs       |
// | 3       | positions | read       | u32       | [n_rows]                                      |
// | 4       | stats     | read_write | vec2<f32> | [n_heads, n_queries]                          |
//
// 32 queries of one head a workgroup; four lanes share a query, each takes every fourth row. Tiles
// begin at multiples of their size and lanes are added in order: how many queries share a call does
// not show in the bits. (0, 0) where a query sees no row.
// Dispatch: (ceil(n_queries / 32), query heads of this call, 1).
// Overrides: HEAD_DIM (64), at most 256; IS_F16 (true).   Needs: none.   Lib: row_dot.
// Reference: engine/reference/ops.ts#attentionWeights.

override HEAD_DIM: u32 = 64u;
override IS_F16: bool = true;

const LOWEST = -3.0e38;
const N_STAGED = 512u; // quads of keys
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
@group(0) @binding(4) var<storage, read_write> stats: array<vec2f>;

var<workgroup> staged: array<vec4f, 512>; // [rows of the tile, HEAD_DIM / 4]
var<workgroup> parts: array<vec2f, 128>; // [query, lane]: max, sum

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i_kv = group.y / params.n_groups;
  let head = params.first_kv_head * params.n_groups + group.y;
  let place = params.heads[i_kv];
  let q = group.x * 32u + lane / 4u;
  let share = lane % 4u;
  let n_quads = HEAD_DIM / 4u;
  let n_columns = params.n_heads + 2u * params.n_kv_heads;

  var query = array<vec4f, MAX_QUADS>();
  if (q < params.n_queries) {
    let at = params.queries_offset + (q * n_columns + head) * n_quads;
    for (var k = 0u; k < n_quads; k++) {
      query[k] = queries[at + k];
    }
  }
  let n_before = i32(place.y) - i32(params.n_queries);
  let n_seen = select(0, n_before + i32(q) + 1, q < params.n_queries);
  let last = min(group.x * 32u + 32u, params.n_queries) - 1u;
  let end = u32(max(0, n_before + i32(last) + 1));
  let position = params.first_position + q;
  let tile_rows = N_STAGED / n_quads / 4u * 4u;
  var top = LOWEST;
  var total = 0.0;
  for (var tile = 0u; tile < end; tile += tile_rows) {
    let n_rows = min(tile_rows, end - tile);
    workgroupBarrier();
    for (var i = lane; i < n_rows * n_quads; i += 128u) {
      staged[i] = key_quad((place.x + tile) * n_quads + i);
    }
    workgroupBarrier();
    for (var r = share; r < n_rows; r += 4u) {
      let row = tile + r;
      var is_seen = i32(row) < n_seen;
      if (params.window > 0u && is_seen) {
        let seen_position = positions[params.positions_offset + place.x + row];
        is_seen = position - seen_position < params.window;
      }
      if (is_seen) {
        var sum = vec4f(0.0);
        for (var k = 0u; k < n_quads; k++) {
          sum = multiply_add(query[k], staged[r * n_quads + k], sum);
        }
        let score = params.scale * sum_quad(sum);
        let new_top = max(top, score);
        total = total * exp(top - new_top) + exp(score - new_top);
        top = new_top;
      }
    }
  }
  parts[lane] = vec2f(top, total);
  workgroupBarrier();
  if (share == 0u && q < params.n_queries) {
    var most = LOWEST;
    for (var k = 0u; k < 4u; k++) {
      most = max(most, parts[lane + k].x);
    }
    var all = 0.0;
    for (var k = 0u; k < 4u; k++) {
      all += parts[lane + k].y * exp(parts[lane + k].x - most);
    }
    let result = select(vec2f(0.0), vec2f(most, 1.0 / all), all > 0.0);
    stats[params.stats_offset + head * params.n_queries + q] = result;
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
