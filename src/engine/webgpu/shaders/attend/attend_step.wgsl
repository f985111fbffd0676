// attend_step: the newest token alone, rope_append and attend_decode in one.
//
//   q, k = rotate(head, table);  keys, values[start + length - 1] = k, v
//   out[h] = sum over rows r of softmax_r(scale q[h].k[r]) v[r]
//
// | binding | name      | access     | element   | shape                                     |
// |---------|-----------|------------|-----------|-------------------------------------------|
// | 0       | params    | uniform    | struct    | AttendParams                              |
// | 1       | table     | read       | f32       | [HEAD_DIM]                                |
// | 2       | qkv       | read_write | f32       | [n_heads + 2 n_kv_heads, HEAD_DIM]        |
// | 3       | keys      | read_write | vec4<u32> | [n_rows, HEAD_DIM] f32, or f16 in pairs   |
// | 4       | values    | read_write | vec4<u32> | [n_rows, HEAD_DIM] f32, or f16 in pairs   |
// | 5       | positions | read_write | u32       | [n_rows]                                  |
// | 6       | out       | read_write | f32       | [n_heads, HEAD_DIM]                       |
//
// A workgroup takes a kv head with all (up to four) of its query heads; `length` counts the new row.
// Dispatch: (1, kv heads of this call, 1).
// Overrides: HEAD_DIM (64), N_SHARED (3), IS_F16 (true), IS_SPLIT (false).
// Needs: none.   Lib: attend_rows, attend_reduce, halves, half.
// Reference: engine/reference/engine.ts#ropeAppend, #attend.

override HEAD_DIM: u32 = 64u;
override N_SHARED: u32 = 3u;
override IS_F16: bool = true;
override IS_SPLIT: bool = false;

@group(0) @binding(0) var<uniform> params: AttendParams;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read_write> qkv: array<f32>;
@group(0) @binding(3) var<storage, read_write> keys: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> values: array<vec4u>;
@group(0) @binding(5) var<storage, read_write> positions: array<u32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

var<workgroup> query: array<vec4f, 256>; // [N_SHARED, HEAD_DIM / 4]
var<workgroup> weights: array<vec4f, 128>; // [row of the tile], one component per head
var<workgroup> shared_max: array<vec4f, 32>;
var<workgroup> sums: array<vec4f, 256>; // [slice, HEAD_DIM / 4]
var<workgroup> turned: array<f32, 1280>; // [N_SHARED query heads, then the key; HEAD_DIM]

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let kv_head = params.first_kv_head + group.y;
  let first_head = kv_head * params.n_groups;
  let place = params.heads[group.y];
  let key_column = params.n_columns - 2u * params.n_kv_heads + kv_head;
  let n_pairs = HEAD_DIM / 2u;
  for (var i = lane; i < (N_SHARED + 1u) * n_pairs; i += LANES) {
    let head = i / n_pairs;
    turn(head, i - head * n_pairs, select(first_head + head, key_column, head == N_SHARED));
  }
  workgroupBarrier();
  for (var i = lane; i < N_SHARED * HEAD_DIM / 4u; i += LANES) {
    query[i] = four_turned(4u * i) * params.scale;
  }
  let row = place.x + place.y - 1u;
  let at = params.qkv_offset + (key_column + params.n_kv_heads) * HEAD_DIM;
  for (var octet = lane; octet < HEAD_DIM / 8u; octet += LANES) {
    let first = 8u * octet;
    store(row, octet, four_turned(N_SHARED * HEAD_DIM + first), four_turned(N_SHARED * HEAD_DIM + first + 4u), true);
    store(row, octet, four_values(at + first), four_values(at + first + 4u), false);
  }
  if (lane == 0u) {
    positions[params.positions_offset + row] = params.position;
  }
  storageBarrier();
  workgroupBarrier();
  attend_rows(lane, 0u, place, 0u, first_head);
}

// Rotates pair `i` of a head in `qkv` and to `turned`.
fn turn(head: u32, i: u32, column: u32) {
  let n_pairs = HEAD_DIM / 2u;
  let a = select(2u * i, i, params.is_half_style == 1u);
  let b = select(2u * i + 1u, i + n_pairs, params.is_half_style == 1u);
  let at = params.qkv_offset + column * HEAD_DIM;
  let cosine = table[params.table_offset + 2u * i];
  let sine = table[params.table_offset + 2u * i + 1u];
  let x = qkv[at + a];
  let y = qkv[at + b];
  let first = x * cosine - y * sine;
  let second = x * sine + y * cosine;
  qkv[at + a] = first;
  qkv[at + b] = second;
  turned[head * HEAD_DIM + a] = first;
  turned[head * HEAD_DIM + b] = second;
}

fn four_turned(at: u32) -> vec4f {
  return vec4f(turned[at], turned[at + 1u], turned[at + 2u], turned[at + 3u]);
}

fn four_values(at: u32) -> vec4f {
  return vec4f(qkv[at], qkv[at + 1u], qkv[at + 2u], qkv[at + 3u]);
}

// Eight channels of a row's key or value.
fn store(row: u32, octet: u32, low: vec4f, high: vec4f, is_key: bool) {
  let offset = select(params.values_offset, params.keys_offset, is_key);
  if (IS_F16) {
    let words = vec4u(half_pair(low.xy), half_pair(low.zw), half_pair(high.xy), half_pair(high.zw));
    put_words(offset + row * (HEAD_DIM / 8u) + octet, words, is_key);
  } else {
    let at = offset + row * (HEAD_DIM / 4u) + 2u * octet;
    put_words(at, bitcast<vec4u>(low), is_key);
    put_words(at + 1u, bitcast<vec4u>(high), is_key);
  }
}

fn put_words(at: u32, words: vec4u, is_key: bool) {
  if (is_key) {
    keys[at] = words;
  } else {
    values[at] = words;
  }
}

fn half_pair(pair: vec2f) -> u32 {
  return encode_half(bitcast<u32>(pair.x)) | (encode_half(bitcast<u32>(pair.y)) << 16u);
}
