// rope_table: cos and sin of the angles of consecutive positions.
//
//   out[t, 2i], out[t, 2i + 1] = cos, sin((first_position + t) * frequency[i])
//
// | binding | name        | access     | element   | shape                  |
// |---------|-------------|------------|-----------|------------------------|
// | 0       | params      | uniform    | struct    | RopeTableParams        |
// | 1       | frequencies | read       | vec2<u32> | [n_pairs]              |
// | 2       | out         | read_write | f32       | [n_tokens, 2 n_pairs]  |
//
// Frequencies are (low, high) in units of 2^-64 turns a position.
// Dispatch: (ceil(n_pairs / 64), n_tokens, 1); one thread per pair and token.
// Overrides: none.   Needs: none.   Lib: turns.
// Reference: engine/reference/ops.ts#ropeTable.

struct RopeTableParams {
  n_pairs: u32,
  first_position: u32,
  n_tokens: u32,
  out_offset: u32,
}

@group(0) @binding(0) var<uniform> params: RopeTableParams;
@group(0) @binding(1) var<storage, read> frequencies: array<vec2u>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i_pair = group.x * 64u + lane;
  let token = group.y;
  if (i_pair >= params.n_pairs || token >= params.n_tokens) {
    return;
  }
  let angle = cos_sin(turns_of(params.first_position + token, frequencies[i_pair]));
  let at = params.out_offset + 2u * (token * params.n_pairs + i_pair);
  out[at] = angle.x;
  out[at + 1u] = angle.y;
}
