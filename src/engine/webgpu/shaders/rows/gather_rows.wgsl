// gather_rows: kept rows of each head of one layer, keys or values or positions, to another layer.
//
//   dst[dst_start + i] = recode(src[src_start + list[i]]), i < n_keep
//
// | binding | name   | access     | element | shape                         |
// |---------|--------|------------|---------|-------------------------------|
// | 0       | params | uniform    | struct  | GatherParams                  |
// | 1       | src    | read       | u32     | [n_rows, words of a row]      |
// | 2       | list   | read       | u32     | [sum of n_keep], ascending    |
// | 3       | dst    | read_write | u32     | [n_rows, words of a row]      |
//
// RECODE 0 copies n_words words a row, 1 makes f16 of f32, 2 f32 of f16; then n_words counts pairs.
// Dispatch: (any number, n_heads, 1); the threads of a row of workgroups share a head.
// Overrides: RECODE (0).   Needs: none.   Lib: half.
// Reference: engine/reference/rows.ts#gatherRows.

override RECODE: u32 = 0u;

struct GatherParams {
  n_words: u32,
  src_offset: u32,
  dst_offset: u32,
  n_groups: u32,
  heads: array<vec4u, 12>, // src_start, dst_start, offset in list, n_keep
}

@group(0) @binding(0) var<uniform> params: GatherParams;
@group(0) @binding(1) var<storage, read> src: array<u32>;
@group(0) @binding(2) var<storage, read> list: array<u32>;
@group(0) @binding(3) var<storage, read_write> dst: array<u32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let head = params.heads[group.y];
  let n_words = params.n_words;
  let n = head.w * n_words;
  for (var cell = group.x * 64u + lane; cell < n; cell += params.n_groups * 64u) {
    let i = cell / n_words;
    let word = cell - i * n_words;
    let from_row = head.x + list[head.z + i];
    let to_row = head.y + i;
    if (RECODE == 0u) {
      let from_at = params.src_offset + from_row * n_words + word;
      dst[params.dst_offset + to_row * n_words + word] = src[from_at];
    } else if (RECODE == 1u) {
      let from_at = params.src_offset + 2u * (from_row * n_words + word);
      let low = encode_half(src[from_at]);
      let high = encode_half(src[from_at + 1u]);
      dst[params.dst_offset + to_row * n_words + word] = low | (high << 16u);
    } else {
      let pair = src[params.src_offset + from_row * n_words + word];
      let to_at = params.dst_offset + 2u * (to_row * n_words + word);
      dst[to_at] = decode_half(pair & 0xffffu);
      dst[to_at + 1u] = decode_half(pair >> 16u);
    }
  }
}
