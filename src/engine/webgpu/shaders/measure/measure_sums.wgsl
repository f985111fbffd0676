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
// | 4       | stats     | read       | vec2<f32> | [n_heads, n_queries, n_splits]: max, sum      |
// | 5       | out       | read_write | f32       | [n_heads, stride]                             |
//
// A workgroup takes 64 rows of one head and tiles of 64 queries; the scores are those of
// measure_stats.wgsl, product by product. A lane then adds up the column of one row, query after
// query: in parts or at once, the same bits. Cells past the head's length are 0.
// Dispatch: (ceil(stride / 64), query heads of this call, 1).
// Overrides: none.   Needs: none.   Lib: none.
// Reference: engine/reference/engine.ts#measureWindow.

// Bits of `flags`.
const IS_ADDED = 1u;
const IS_F16 = 2u;

const STRIDE = 66u; // of a quad of 64 rows; not 64, so that lanes fall on different banks

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
@group(0) @binding(4) var<storage, read> stats: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

var<workgroup> left: array<vec4f, 264>; // queries [4 quads, 64]
var<workgroup> right: array<vec4f, 264>; // keys [4 quads, 64]
var<workgroup> weights: array<vec4f, 256>; // [16 queries, 64 rows]
var<workgroup> merged: array<vec2f, 64>; // of the tile's queries: max, 1 / sum

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = params.first_kv_head * params.n_groups + group.y;
  let place = params.heads[group.y / params.n_groups];
  let first_row = group.x * 64u;
  let x = lane % 16u;
  let y = lane / 16u;

  // Query t sees rows below n_before + t + 1: earlier ones see none of this workgroup's rows.
  let n_before = i32(place.y) - i32(params.n_queries);
  let oldest = u32(max(0, i32(first_row) - n_before));
  let n_queries = select(params.n_queries, 0u, first_row >= place.y);
  var row_position = vec4u(0u);
  if (params.window > 0u && place.y > 0u) {
    for (var j = 0u; j < 4u; j++) {
      let row = min(first_row + 4u * x + j, place.y - 1u);
      row_position[j] = positions[params.positions_offset + place.x + row];
    }
  }
  let cell = params.out_offset + head * params.stride + first_row + lane;
  let is_cell = lane < 64u && first_row + lane < params.stride;
  var sum = 0.0; // of lane's row
  if (is_cell && (params.flags & IS_ADDED) != 0u) {
    sum = out[cell];
  }
  let rows = vec4i(i32(first_row + 4u * x)) + vec4i(0, 1, 2, 3);
  for (var tile = oldest; tile < n_queries; tile += 64u) {
    var score = array<vec4f, 4>(); // [query], one component per row
    for (var quad = 0u; quad < params.head_dim / 4u; quad += 4u) {
      workgroupBarrier();
      load_queries(lane, head, tile, quad);
      load_keys(lane, place, first_row, quad);
      if (quad == 0u && lane < 64u) {
        merged[lane] = merge(head, tile + lane);
      }
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
    for (var i = 0u; i < 4u; i++) {
      let t = tile + y + 16u * i;
      let n_seen = min(n_before + i32(t) + 1, i32(place.y));
      var is_seen = rows < vec4i(select(0, n_seen, t < n_queries));
      if (params.window > 0u) {
        let distance = vec4u(params.first_position + t) - row_position;
        is_seen = is_seen & (distance < vec4u(params.window));
      }
      let stat = merged[y + 16u * i];
      let weight = exp(score[i] - stat.x) * stat.y;
      workgroupBarrier();
      weights[16u * y + x] = select(vec4f(0.0), weight, is_seen);
      workgroupBarrier();
      if (lane < 64u) {
        for (var k = 0u; k < 16u; k++) {
          sum += weights[16u * k + lane / 4u][lane % 4u];
        }
      }
    }
  }
  if (is_cell) {
    out[cell] = sum;
  }
}

// The runs of query t: (max, 1 / sum), (0, 0) where it sees no row.
fn merge(head: u32, t: u32) -> vec2f {
  if (t >= params.n_queries) {
    return vec2f(0.0);
  }
  let at = params.stats_offset + (head * params.n_queries + t) * params.n_splits;
  var top = -3.0e38;
  for (var split = 0u; split < params.n_splits; split++) {
    top = max(top, stats[at + split].x);
  }
  var all = 0.0;
  for (var split = 0u; split < params.n_splits; split++) {
    let part = stats[at + split];
    all += part.y * exp(part.x - top);
  }
  return select(vec2f(0.0), vec2f(top, 1.0 / all), all > 0.0);
}

// Quads `quad .. quad + 3` of queries `tile .. tile + 63` of one head, scaled.
fn load_queries(lane: u32, head: u32, tile: u32, quad: u32) {
  let t = tile + lane / 4u;
  let k = lane % 4u;
  var value = vec4f(0.0);
  if (t < params.n_queries && quad + k < params.head_dim / 4u) {
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
