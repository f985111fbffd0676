// attend_prefill: many queries against the rows of their kv head, online softmax over tiles of rows.
//
//   out[t, h] = sum over rows r that token t sees of softmax_r(scale q[t, h].k[r]) v[r]
//
// | binding | name      | access     | element   | shape                                        |
// |---------|-----------|------------|-----------|----------------------------------------------|
// | 0       | params    | uniform    | struct    | AttendTilesParams                            |
// | 1       | qkv       | read       | vec4<f32> | [n_tokens, n_heads + 2 n_kv_heads, HEAD_DIM] |
// | 2       | keys      | read       | vec2<u32> | [n_rows, HEAD_DIM] f32, or f16 in pairs      |
// | 3       | values    | read       | vec2<u32> | [n_rows, HEAD_DIM] f32, or f16 in pairs      |
// | 4       | positions | read       | u32       | [n_rows]                                     |
// | 5       | out       | read_write | vec4<f32> | [n_tokens, n_heads, HEAD_DIM]                |
//
// A workgroup takes 64 (token, head of the group) pairs, all of one kv head, and tiles of 64 rows.
// Thread (x, y) holds the scores of queries y + 16 i and rows 4 x + j, then channels 4 x .. 4 x + 3
// (+ 64 b) of those queries.
// Dispatch: (ceil(n_tokens n_groups / 64), n_kv_heads of this call, 1).
// Overrides: HEAD_DIM (64), IS_F16 (true).   Needs: none.   Lib: halves.
// Reference: engine/reference/engine.ts#attend.  Source: Dao et al. 2022 (FlashAttention).

override HEAD_DIM: u32 = 64u;
override IS_F16: bool = true;

const LOWEST = -3.0e38;
const STRIDE = 66u; // of a quad of 64 rows; not 64, so that lanes fall on different banks

struct AttendTilesParams {
  n_groups: u32,
  n_heads: u32,
  n_kv_heads: u32,
  first_kv_head: u32,
  n_tokens: u32,
  first_position: u32,
  window: u32,
  scale: f32,
  qkv_offset: u32, // in vec4
  out_offset: u32, // in vec4
  keys_offset: u32, // in vec2
  values_offset: u32,
  positions_offset: u32,
  padding_0: u32,
  padding_1: u32,
  padding_2: u32,
  heads: array<vec4u, 12>, // start, length
}

@group(0) @binding(0) var<uniform> params: AttendTilesParams;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> keys: array<vec2u>;
@group(0) @binding(3) var<storage, read> values: array<vec2u>;
@group(0) @binding(4) var<storage, read> positions: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4f>;

var<workgroup> left: array<vec4f, 264>; // queries [4 quads, 64], then weights [4 quads of rows, 64]
var<workgroup> right: array<vec4f, 264>; // keys [4 quads, 64], then values [16 rows, 16 quads]
var<workgroup> tops: array<f32, 1024>; // [64 queries, 16]

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) n_workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let place = params.heads[group.y];
  let kv_head = params.first_kv_head + group.y;
  let n_queries = params.n_tokens * params.n_groups;
  // The last queries see the most rows: they begin first.
  let first = (n_workgroups.x - 1u - group.x) * 64u;
  let x = lane % 16u;
  let y = lane / 16u;

  // Query t sees rows below n_before + t + 1 (signed: a head may hold fewer rows than tokens).
  let n_before = i32(place.y) - i32(params.n_tokens);
  let last_token = (min(first + 64u, n_queries) - 1u) / params.n_groups;
  let end = u32(max(0, n_before + i32(last_token) + 1));
  let oldest = n_before + i32(first / params.n_groups) + 1 - i32(params.window);
  let begin = select(0u, u32(max(0, oldest)) / 64u * 64u, params.window > 0u);

  var n_seen = vec4i(0);
  var query_position = vec4u(0u);
  for (var i = 0u; i < 4u; i++) {
    let q = first + y + 16u * i;
    let token = q / params.n_groups;
    n_seen[i] = select(0, n_before + i32(token) + 1, q < n_queries);
    query_position[i] = params.first_position + token;
  }
  var top = vec4f(LOWEST);
  var total = vec4f(0.0); // over this thread's rows
  var mixed = array<vec4f, 16>(); // [4 queries, blocks of 64 channels]

  for (var tile = begin; tile < end; tile += 64u) {
    var score = array<vec4f, 4>(); // [query], one component per row
    for (var quad = 0u; quad < HEAD_DIM / 4u; quad += 4u) {
      workgroupBarrier();
      load_queries(lane, kv_head, first, n_queries, quad);
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
      score[i] = select(vec4f(LOWEST), score[i] * params.scale, is_seen);
      let pairs = max(score[i].xy, score[i].zw);
      tops[(y + 16u * i) * 16u + x] = max(pairs.x, pairs.y);
    }
    workgroupBarrier();
    for (var i = 0u; i < 4u; i++) {
      var new_top = top[i];
      for (var k = 0u; k < 16u; k++) {
        new_top = max(new_top, tops[(y + 16u * i) * 16u + k]);
      }
      let shrink = exp(top[i] - new_top);
      let is_out = score[i] <= vec4f(LOWEST);
      score[i] = select(exp(score[i] - new_top), vec4f(0.0), is_out);
      top[i] = new_top;
      total[i] = total[i] * shrink + dot(score[i], vec4f(1.0));
      for (var b = 0u; b < (HEAD_DIM + 63u) / 64u; b++) {
        mixed[4u * b + i] *= shrink;
      }
    }
    for (var step = 0u; step < 4u; step++) {
      for (var b = 0u; b < (HEAD_DIM + 63u) / 64u; b++) {
        workgroupBarrier();
        if (b == 0u && x / 4u == step) {
          for (var i = 0u; i < 4u; i++) {
            left[(x % 4u) * STRIDE + y + 16u * i] = score[i];
          }
        }
        load_values(lane, place, tile + 16u * step, 16u * b);
        workgroupBarrier();
        for (var k = 0u; k < 4u; k++) {
          let value_0 = right[64u * k + x];
          let value_1 = right[64u * k + 16u + x];
          let value_2 = right[64u * k + 32u + x];
          let value_3 = right[64u * k + 48u + x];
          for (var i = 0u; i < 4u; i++) {
            let w = left[k * STRIDE + y + 16u * i];
            mixed[4u * b + i] += w.x * value_0 + w.y * value_1 + w.z * value_2 + w.w * value_3;
          }
        }
      }
    }
  }
  write(lane, kv_head, first, n_queries, total, &mixed);
}

// Quads `quad .. quad + 3` of the 64 queries.
fn load_queries(lane: u32, kv_head: u32, first: u32, n_queries: u32, quad: u32) {
  let q = first + lane / 4u;
  let k = lane % 4u;
  var value = vec4f(0.0);
  if (q < n_queries && quad + k < HEAD_DIM / 4u) {
    let token = q / params.n_groups;
    let head = kv_head * params.n_groups + q - token * params.n_groups;
    let column = token * (params.n_heads + 2u * params.n_kv_heads) + head;
    value = qkv[params.qkv_offset + column * (HEAD_DIM / 4u) + quad + k];
  }
  left[k * STRIDE + lane / 4u] = value;
}

// Quads `quad .. quad + 3` of rows `tile .. tile + 63`: row 4 x + j lies at 16 j + x.
fn load_keys(lane: u32, place: vec4u, tile: u32, quad: u32) {
  let r = lane / 4u;
  let k = lane % 4u;
  var value = vec4f(0.0);
  if (tile + r < place.y && quad + k < HEAD_DIM / 4u) {
    let cell = (place.x + tile + r) * (HEAD_DIM / 4u) + quad + k;
    if (IS_F16) {
      value = four_halves(keys[params.keys_offset + cell]);
    } else {
      let low = keys[params.keys_offset + 2u * cell];
      value = bitcast<vec4f>(vec4u(low, keys[params.keys_offset + 2u * cell + 1u]));
    }
  }
  right[k * STRIDE + 16u * (r % 4u) + r / 4u] = value;
}

// Quads `quad .. quad + 15` of rows `tile .. tile + 15`.
fn load_values(lane: u32, place: vec4u, tile: u32, quad: u32) {
  let r = lane / 16u;
  let k = lane % 16u;
  var value = vec4f(0.0);
  if (tile + r < place.y && quad + k < HEAD_DIM / 4u) {
    let cell = (place.x + tile + r) * (HEAD_DIM / 4u) + quad + k;
    if (IS_F16) {
      value = four_halves(values[params.values_offset + cell]);
    } else {
      let low = values[params.values_offset + 2u * cell];
      value = bitcast<vec4f>(vec4u(low, values[params.values_offset + 2u * cell + 1u]));
    }
  }
  right[lane] = value;
}

fn write(
  lane: u32,
  kv_head: u32,
  first: u32,
  n_queries: u32,
  total: vec4f,
  mixed: ptr<function, array<vec4f, 16>>,
) {
  let x = lane % 16u;
  let y = lane / 16u;
  workgroupBarrier();
  for (var i = 0u; i < 4u; i++) {
    tops[(y + 16u * i) * 16u + x] = total[i];
  }
  workgroupBarrier();
  for (var i = 0u; i < 4u; i++) {
    let q = first + y + 16u * i;
    var all = 0.0;
    for (var k = 0u; k < 16u; k++) {
      all += tops[(y + 16u * i) * 16u + k];
    }
    let factor = select(0.0, 1.0 / all, all > 0.0);
    let token = q / params.n_groups;
    let head = kv_head * params.n_groups + q - token * params.n_groups;
    for (var b = 0u; b < (HEAD_DIM + 63u) / 64u; b++) {
      let quad = 16u * b + x;
      if (q < n_queries && quad < HEAD_DIM / 4u) {
        let at = (token * params.n_heads + head) * (HEAD_DIM / 4u) + quad;
        out[params.out_offset + at] = (*mixed)[4u * b + i] * factor;
      }
    }
  }
}
