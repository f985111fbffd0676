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
// 64 (token, head of the group) pairs of one kv head a workgroup, and a run of 512 rows. Thread
// (x, y) holds the scores of queries y + 16 i and rows 4 x + j of a tile of 64. Runs and tiles begin
// at multiples of their size: how many queries share a call does not show in the bits. The sum is 0
// where a query sees no row.
// Dispatch: (ceil(n_queries n_groups / 64), n_kv_heads of this call, n_splits).
// Overrides: none.   Needs: none.   Lib: none.
// Reference: engine/reference/ops.ts#attentionWeights.

const LOWEST = -3.0e38;
// Bits of `flags`.
const IS_ADDED = 1u;
const IS_F16 = 2u;

const STRIDE = 66u; // of a quad of 64 rows; not 64, so that lanes fall on different banks
const ROWS_PER_SPLIT = 512u;

struct MeasureParams {
  n_groups: u32,
  n_kv_heads: u32,
  head_dim: u32,
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
  flags: u32,
  n_splits: u32,
  heads: array<vec4u, 12>, // start, length
}

@group(0) @binding(0) var<uniform> params: MeasureParams;
@group(0) @binding(1) var<storage, read> queries: array<vec4f>;
@group(0) @binding(2) var<storage, read> keys: array<vec2u>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read_write> stats: array<vec2f>;

var<workgroup> left: array<vec4f, 264>; // queries [4 quads, 64]
var<workgroup> right: array<vec4f, 264>; // keys [4 quads, 64]
var<workgroup> tops: array<f32, 1024>; // [64 queries, 16]

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let place = params.heads[group.y];
  let kv_head = params.first_kv_head + group.y;
  let n_all = params.n_queries * params.n_groups;
  let first = group.x * 64u;
  let x = lane % 16u;
  let y = lane / 16u;

  // Query t sees rows below n_before + t + 1 (signed: a head may hold fewer rows than queries).
  let n_before = i32(place.y) - i32(params.n_queries);
  let last_query = (min(first + 64u, n_all) - 1u) / params.n_groups;
  let n_visible = u32(max(0, n_before + i32(last_query) + 1));
  let begin = group.z * ROWS_PER_SPLIT;
  let end = min(begin + ROWS_PER_SPLIT, n_visible);
  var n_seen = vec4i(0);
  var query_position = vec4u(0u);
  for (var i = 0u; i < 4u; i++) {
    let q = first + y + 16u * i;
    let t = q / params.n_groups;
    n_seen[i] = select(0, n_before + i32(t) + 1, q < n_all);
    query_position[i] = params.first_position + t;
  }
  var top = vec4f(LOWEST);
  var total = vec4f(0.0); // over this thread's rows

  for (var tile = begin; tile < end; tile += 64u) {
    var score = array<vec4f, 4>(); // [query], one component per row
    for (var quad = 0u; quad < params.head_dim / 4u; quad += 4u) {
      workgroupBarrier();
      load_queries(lane, kv_head, first, n_all, quad);
      load_keys(lane, place, tile, quad);
      workgroupBarrier();
      for (var k = 0u; k < 4u; k++) {
        let at = k * STRIDE;
        let key_0 = right[at + x];
        let key_1 = right[at + 16u + x];
        let key_2 = right[at + 32u + x];
        let key_3 = right[at + 48u + x];
        for (var i = 0u; i < 4u; i++) {
          let q = left[at + y + 16u * i];
          score[i] += vec4f(dot(q, key_0), dot(q, key_1), dot(q, key_2), dot(q, key_3));
        }
      }
    }
    var row_position = vec4u(0u);
    if (params.window > 0u) {
      for (var j = 0u; j < 4u; j++) {
        let row = min(tile + 4u * x + j, place.y - 1u);
        row_position[j] = positions[params.positions_offset + place.x + row];
      }
    }
    for (var i = 0u; i < 4u; i++) {
      let rows = vec4i(i32(tile + 4u * x)) + vec4i(0, 1, 2, 3);
      var is_seen = rows < vec4i(n_seen[i]);
      if (params.window > 0u) {
        is_seen = is_seen & (vec4u(query_position[i]) - row_position < vec4u(params.window));
      }
      score[i] = select(vec4f(LOWEST), score[i], is_seen);
      let pairs = max(score[i].xy, score[i].zw);
      tops[(y + 16u * i) * 16u + x] = max(pairs.x, pairs.y);
    }
    workgroupBarrier();
    for (var i = 0u; i < 4u; i++) {
      var new_top = top[i];
      for (var k = 0u; k < 16u; k++) {
        new_top = max(new_top, tops[(y + 16u * i) * 16u + k]);
      }
      let is_out = score[i] <= vec4f(LOWEST);
      let weight = select(exp(score[i] - new_top), vec4f(0.0), is_out);
      total[i] = total[i] * exp(top[i] - new_top) + dot(weight, vec4f(1.0));
      top[i] = new_top;
    }
  }
  workgroupBarrier();
  for (var i = 0u; i < 4u; i++) {
    tops[(y + 16u * i) * 16u + x] = total[i];
  }
  workgroupBarrier();
  if (x < 4u) {
    let q = first + y + 16u * x;
    if (q < n_all) {
      var all = 0.0;
      for (var k = 0u; k < 16u; k++) {
        all += tops[(y + 16u * x) * 16u + k];
      }
      let t = q / params.n_groups;
      let head = kv_head * params.n_groups + q - t * params.n_groups;
      let at = (head * params.n_queries + t) * params.n_splits + group.z;
      stats[params.stats_offset + at] = vec2f(top[x], all);
    }
  }
}

// Quads `quad .. quad + 3` of the 64 queries, scaled.
fn load_queries(lane: u32, kv_head: u32, first: u32, n_all: u32, quad: u32) {
  let q = first + lane / 4u;
  let k = lane % 4u;
  var value = vec4f(0.0);
  if (q < n_all && quad + k < params.head_dim / 4u) {
    let t = q / params.n_groups;
    let head = kv_head * params.n_groups + q - t * params.n_groups;
    let column = t * (params.n_groups + 2u) * params.n_kv_heads + head;
    value = queries[params.queries_offset + column * (params.head_dim / 4u) + quad + k];
  }
  left[k * STRIDE + lane / 4u] = value * params.scale;
}

// Quads `quad .. quad + 3` of rows `tile .. tile + 63`: row 4 x + j lies at 16 j + x.
fn load_keys(lane: u32, place: vec4u, tile: u32, quad: u32) {
  let r = lane / 4u;
  let k = lane % 4u;
  var value = vec4f(0.0);
  if (tile + r < place.y && quad + k < params.head_dim / 4u) {
    let cell = (place.x + tile + r) * (params.head_dim / 4u) + quad + k;
    if ((params.flags & IS_F16) != 0u) {
      let words = keys[params.keys_offset + cell];
      value = vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
    } else {
      let low = keys[params.keys_offset + 2u * cell];
      value = bitcast<vec4f>(vec4u(low, keys[params.keys_offset + 2u * cell + 1u]));
    }
  }
  right[k * STRIDE + 16u * (r % 4u) + r / 4u] = value;
}
