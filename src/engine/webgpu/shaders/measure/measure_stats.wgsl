// measure_stats: what is needed of every query's softmax over its rows to know each weight.
//
//   stats[h, t, s] = (max over rows r of run s of scale q.k[r], sum of exp(scale q.k[r] - max))
//
// | binding | name      | access     | element   | shape                                         |
// |---------|-----------|------------|-----------|-----------------------------------------------|
// | 0       | params    | uniform    | struct    | MeasureParams                                 |
// | 1       | queries   | read       | vec4<f32> | [n_queries, n_heads + 2 n_kv_heads, head_dim] |
// | 2       | keys      | read       | vec2<u32> | [n_rows, head_dim] f32, or f16 in pairs       |
// | 3       | positions | read       | u32       | [n_rows]                                      |
// | 4       | stats     | read_write | vec2<f32> | [n_heads, n_queries, n_splits]                |
//
// A lane holds one (token, head of the group) pair of a kv head; a run of 128 rows comes to all lanes
// of the workgroup, tile by tile. Runs begin at multiples of their size: how many queries share a call
// does not show in the bits. The sum is 0 where a query sees no row.
// Dispatch: (ceil(n_queries n_groups / 128), n_kv_heads of this call, n_splits).
// Overrides: none.   Needs: none.   Lib: measured_rows.
// Reference: engine/reference/ops.ts#attentionWeights.

const LOWEST = -3.0e38;
const LANES = 128u;
const ROWS_PER_SPLIT = 128u;

@group(0) @binding(0) var<uniform> params: MeasureParams;
@group(0) @binding(1) var<storage, read> queries: array<vec4f>;
@group(0) @binding(2) var<storage, read> keys: array<vec2u>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read_write> stats: array<vec2f>;

var<workgroup> tile_keys: array<vec4f, TILE_ROOM>; // [TILE_SIZE, N_QUADS]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let place = params.heads[group.y];
  let kv_head = params.first_kv_head + group.y;
  let n_all = params.n_queries * params.n_groups;
  let pair = group.x * LANES + lane;
  let t = pair / params.n_groups;
  let head = kv_head * params.n_groups + pair - t * params.n_groups;

  // Query t sees rows below n_before + t + 1 (signed: a head may hold fewer rows than queries).
  let n_before = i32(place.y) - i32(params.n_queries);
  let last_query = (min((group.x + 1u) * LANES, n_all) - 1u) / params.n_groups;
  let n_visible = u32(max(0, n_before + i32(last_query) + 1));
  let n_seen = select(0, n_before + i32(t) + 1, pair < n_all);
  let begin = group.z * ROWS_PER_SPLIT;
  let end = min(begin + ROWS_PER_SPLIT, n_visible);

  var query = array<vec4f, N_QUADS>();
  for (var k = 0u; k < N_QUADS; k++) {
    query[k] = query_quad(t, head, k);
  }
  var top = LOWEST;
  var total = 0.0;
  for (var tile = begin; tile < end; tile += TILE_SIZE) {
    workgroupBarrier();
    for (var i = lane; i < TILE_SIZE * N_QUADS; i += LANES) {
      tile_keys[i] = key_quad(place, tile + i / N_QUADS, i % N_QUADS);
    }
    workgroupBarrier();
    for (var r = 0u; r < TILE_SIZE; r += 4u) {
      var score = vec4f(0.0);
      for (var k = 0u; k < N_QUADS; k++) {
        let at = r * N_QUADS + k;
        let q = query[k];
        score += vec4f(
          dot(q, tile_keys[at]),
          dot(q, tile_keys[at + N_QUADS]),
          dot(q, tile_keys[at + 2u * N_QUADS]),
          dot(q, tile_keys[at + 3u * N_QUADS]),
        );
      }
      let rows = vec4i(i32(tile + r)) + vec4i(0, 1, 2, 3);
      var is_seen = rows < vec4i(n_seen);
      if (params.window > 0u) {
        let position = params.first_position + t;
        let last = max(place.y, 1u) - 1u;
        for (var j = 0u; j < 4u; j++) {
          let row = place.x + min(tile + r + j, last);
          let distance = position - positions[params.positions_offset + row];
          is_seen[j] = is_seen[j] && distance < params.window;
        }
      }
      score = select(vec4f(LOWEST), score, is_seen);
      let pairs = max(score.xy, score.zw);
      let new_top = max(top, max(pairs.x, pairs.y));
      let weight = select(vec4f(0.0), exp(score - new_top), is_seen);
      total = total * exp(top - new_top) + dot(weight, vec4f(1.0));
      top = new_top;
    }
  }
  if (pair < n_all) {
    let at = (head * params.n_queries + t) * params.n_splits + group.z;
    stats[params.stats_offset + at] = vec2f(top, total);
  }
}
