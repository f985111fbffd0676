// rotate_rows: turns cached keys from their positions to others.
//
//   keys[r] = rotate(keys[r], (target[r] - positions[r]) * frequency)
//
// | binding | name        | access     | element   | shape                                   |
// |---------|-------------|------------|-----------|-----------------------------------------|
// | 0       | params      | uniform    | struct    | RotateParams                            |
// | 1       | frequencies | read       | vec2<u32> | [head_dim / 2], 2^-64 turns             |
// | 2       | positions   | read       | u32       | [n_rows]                                |
// | 3       | list        | read       | u32       | [sum of lengths]: the targets           |
// | 4       | keys        | read_write | u32       | [n_rows, head_dim] f32, or f16 in pairs |
//
// Rows that stay are not written. The positions are left: a copy of the targets follows.
// Dispatch: (rows of the longest head from first_row on, n_heads, 1); one workgroup per row.
// Overrides: none.   Needs: none.   Lib: turns, half.
// Reference: engine/reference/measure.ts#rotateRows.

struct RotateParams {
  keys_offset: u32,
  positions_offset: u32,
  first_row: u32,
  head_dim: u32,
  is_f16: u32,
  is_half_style: u32,
  padding_0: u32,
  padding_1: u32,
  heads: array<vec4u, 12>, // start, length, offset in list
}

@group(0) @binding(0) var<uniform> params: RotateParams;
@group(0) @binding(1) var<storage, read> frequencies: array<vec2u>;
@group(0) @binding(2) var<storage, read> positions: array<u32>;
@group(0) @binding(3) var<storage, read> list: array<u32>;
@group(0) @binding(4) var<storage, read_write> keys: array<u32>;

var<workgroup> key: array<f32, 512>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let is_f16 = params.is_f16 == 1u;
  let is_half_style = params.is_half_style == 1u;
  let head = params.heads[group.y];
  let i_row = params.first_row + group.x;
  if (i_row >= head.y) {
    return;
  }
  let row = head.x + i_row;
  let distance = i32(list[head.z + i_row]) - i32(positions[params.positions_offset + row]);
  if (distance == 0) {
    return;
  }
  let n_words = select(params.head_dim, params.head_dim / 2u, is_f16);
  let at = params.keys_offset + row * n_words;
  for (var i = lane; i < n_words; i += 64u) {
    let word = keys[at + i];
    if (is_f16) {
      key[2u * i] = bitcast<f32>(decode_half(word & 0xffffu));
      key[2u * i + 1u] = bitcast<f32>(decode_half(word >> 16u));
    } else {
      key[i] = bitcast<f32>(word);
    }
  }
  workgroupBarrier();
  for (var i = lane; i < params.head_dim / 2u; i += 64u) {
    let a = select(2u * i, i, is_half_style);
    let b = select(2u * i + 1u, i + params.head_dim / 2u, is_half_style);
    let forward = cos_sin(turns_of(u32(abs(distance)), frequencies[i]));
    let angle = vec2f(forward.x, select(forward.y, -forward.y, distance < 0));
    let x = key[a];
    let y = key[b];
    key[a] = x * angle.x - y * angle.y;
    key[b] = x * angle.y + y * angle.x;
  }
  workgroupBarrier();
  for (var i = lane; i < n_words; i += 64u) {
    if (is_f16) {
      let low = encode_half(bitcast<u32>(key[2u * i]));
      keys[at + i] = low | (encode_half(bitcast<u32>(key[2u * i + 1u])) << 16u);
    } else {
      keys[at + i] = bitcast<u32>(key[i]);
    }
  }
}
