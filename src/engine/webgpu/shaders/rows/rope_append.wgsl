// rope_append: norms and rotates the q and k heads of new tokens in place, appends k and v.
//
//   q, k = rotate(norm?(head), table[token]);  keys, values[start + length + token] = k, v
//
// | binding | name      | access     | element | shape                                     |
// |---------|-----------|------------|---------|-------------------------------------------|
// | 0       | params    | uniform    | struct  | RopeAppendParams                          |
// | 1       | table     | read       | f32     | [n_tokens, head_dim]                      |
// | 2       | q_norm    | read       | f32     | [head_dim], any buffer without the flag   |
// | 3       | k_norm    | read       | f32     | [head_dim], any buffer without the flag   |
// | 4       | qkv       | read_write | f32     | [n_tokens, n_heads + 2 n_kv, head_dim]    |
// | 5       | keys      | read_write | u32     | [n_rows, head_dim] f32, or f16 in pairs   |
// | 6       | values    | read_write | u32     | [n_rows, head_dim] f32, or f16 in pairs   |
// | 7       | positions | read_write | u32     | [n_rows]                                  |
//
// Of the kv heads, at most 12 from first_kv_head on are written: `heads` holds (start, length) of
// each. The call with the first one does all query heads too.
// Dispatch: (query heads, key heads, value heads of this call; n_tokens; 1), one workgroup per head
// and token.
// Overrides: none.   Needs: none.   Lib: half.
// Reference: engine/reference/engine.ts#ropeAppend.

// Bits of `flags`.
const IS_F16 = 1u;
const IS_HALF_STYLE = 2u;
const HAS_Q_NORM = 4u;
const HAS_K_NORM = 8u;

struct RopeAppendParams {
  n_heads: u32,
  n_kv_heads: u32,
  first_kv_head: u32,
  head_dim: u32,
  flags: u32,
  first_position: u32,
  qkv_offset: u32,
  table_offset: u32,
  q_norm_offset: u32,
  k_norm_offset: u32,
  q_eps: f32,
  k_eps: f32,
  keys_offset: u32,
  values_offset: u32,
  positions_offset: u32,
  n_query_heads: u32, // of this call: n_heads or 0
  heads: array<vec4u, 12>,
}

@group(0) @binding(0) var<uniform> params: RopeAppendParams;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> q_norm: array<f32>;
@group(0) @binding(3) var<storage, read> k_norm: array<f32>;
@group(0) @binding(4) var<storage, read_write> qkv: array<f32>;
@group(0) @binding(5) var<storage, read_write> keys: array<u32>;
@group(0) @binding(6) var<storage, read_write> values: array<u32>;
@group(0) @binding(7) var<storage, read_write> positions: array<u32>;

var<workgroup> head: array<f32, 512>;
var<workgroup> squares: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) n_workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let n_kv_written = (n_workgroups.x - params.n_query_heads) / 2u;
  let token = group.y;
  let is_query = group.x < params.n_query_heads;
  let kv_index = group.x - params.n_query_heads; // counts keys, then values
  let is_value = !is_query && kv_index >= n_kv_written;
  let i_kv = select(kv_index, kv_index - n_kv_written, is_value);
  let kv_head = params.first_kv_head + i_kv;
  let kv_column = params.n_heads + kv_head + select(0u, params.n_kv_heads, is_value);
  let column = select(kv_column, group.x, is_query);
  let n_columns = params.n_heads + 2u * params.n_kv_heads;
  let at = params.qkv_offset + (token * n_columns + column) * params.head_dim;

  for (var c = lane; c < params.head_dim; c += 64u) {
    head[c] = qkv[at + c];
  }
  if (!is_value) {
    if (has(select(HAS_K_NORM, HAS_Q_NORM, is_query))) {
      normalise(lane, is_query);
    }
    workgroupBarrier();
    rotate_pairs(lane, at, params.table_offset + token * params.head_dim);
  }
  workgroupBarrier();
  if (is_query) {
    return;
  }
  let place = params.heads[i_kv];
  let row = place.x + place.y + token;
  if (is_value) {
    store_values(lane, row);
  } else {
    store_keys(lane, row);
    if (lane == 0u) {
      positions[params.positions_offset + row] = params.first_position + token;
    }
  }
}

fn has(flag: u32) -> bool {
  return (params.flags & flag) != 0u;
}

// RMS norm of `head` in place; each lane has loaded its own cells.
fn normalise(lane: u32, is_query: bool) {
  var sum = 0.0;
  for (var c = lane; c < params.head_dim; c += 64u) {
    sum += head[c] * head[c];
  }
  squares[lane] = sum;
  workgroupBarrier();
  for (var n = 32u; n > 0u; n = n / 2u) {
    if (lane < n) {
      squares[lane] += squares[lane + n];
    }
    workgroupBarrier();
  }
  let eps = select(params.k_eps, params.q_eps, is_query);
  let factor = 1.0 / sqrt(squares[0] / f32(params.head_dim) + eps);
  for (var c = lane; c < params.head_dim; c += 64u) {
    var weight = 1.0;
    if (is_query) {
      weight = q_norm[params.q_norm_offset + c];
    } else {
      weight = k_norm[params.k_norm_offset + c];
    }
    head[c] = head[c] * factor * weight;
  }
}

fn rotate_pairs(lane: u32, at: u32, angles: u32) {
  for (var i = lane; i < params.head_dim / 2u; i += 64u) {
    let a = select(2u * i, i, has(IS_HALF_STYLE));
    let b = select(2u * i + 1u, i + params.head_dim / 2u, has(IS_HALF_STYLE));
    let cosine = table[angles + 2u * i];
    let sine = table[angles + 2u * i + 1u];
    let x = head[a];
    let y = head[b];
    head[a] = x * cosine - y * sine;
    head[b] = x * sine + y * cosine;
    qkv[at + a] = head[a];
    qkv[at + b] = head[b];
  }
}

fn half_pair(i: u32) -> u32 {
  let low = encode_half(bitcast<u32>(head[2u * i]));
  return low | (encode_half(bitcast<u32>(head[2u * i + 1u])) << 16u);
}

fn store_keys(lane: u32, row: u32) {
  if (has(IS_F16)) {
    for (var i = lane; i < params.head_dim / 2u; i += 64u) {
      keys[params.keys_offset + row * (params.head_dim / 2u) + i] = half_pair(i);
    }
  } else {
    for (var c = lane; c < params.head_dim; c += 64u) {
      keys[params.keys_offset + row * params.head_dim + c] = bitcast<u32>(head[c]);
    }
  }
}

fn store_values(lane: u32, row: u32) {
  if (has(IS_F16)) {
    for (var i = lane; i < params.head_dim / 2u; i += 64u) {
      values[params.values_offset + row * (params.head_dim / 2u) + i] = half_pair(i);
    }
  } else {
    for (var c = lane; c < params.head_dim; c += 64u) {
      values[params.values_offset + row * params.head_dim + c] = bitcast<u32>(head[c]);
    }
  }
}
