// attend_decode: one token's query heads against the rows of their kv head, online softmax.
//
//   out[h] = sum over rows r of softmax_r(scale q[h].k[r]) v[r], a run of rows per workgroup
//
// | binding | name      | access     | element   | shape                                     |
// |---------|-----------|------------|-----------|-------------------------------------------|
// | 0       | params    | uniform    | struct    | AttendParams                              |
// | 1       | qkv       | read       | f32       | [n_heads + 2 n_kv_heads, HEAD_DIM]        |
// | 2       | keys      | read       | vec4<u32> | [n_rows, HEAD_DIM] f32, or f16 in pairs   |
// | 3       | values    | read       | vec4<u32> | [n_rows, HEAD_DIM] f32, or f16 in pairs   |
// | 4       | positions | read       | u32       | [n_rows]                                  |
// | 5       | out       | read_write | f32       | IS_SPLIT: [n_heads, n_splits, HEAD_DIM    |
// |         |           |            |           | + 2], sums then (max, sum of weights);    |
// |         |           |            |           | else [n_heads, HEAD_DIM]                  |
//
// Up to four query heads of one kv head share what a workgroup reads.
// Dispatch: (n_splits, n_heads of this call / N_SHARED rounded up per kv head, 1).
// Overrides: HEAD_DIM (64), N_SHARED (3), IS_F16 (true), IS_SPLIT (false).
// Needs: none.   Lib: attend_rows, attend_reduce, halves.
// Reference: engine/reference/engine.ts#attend.  Source: Milakov & Gimelshein 2018 (online softmax).

override HEAD_DIM: u32 = 64u;
override N_SHARED: u32 = 3u;
override IS_F16: bool = true;
override IS_SPLIT: bool = false;

@group(0) @binding(0) var<uniform> params: AttendParams;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read> keys: array<vec4u>;
@group(0) @binding(3) var<storage, read> values: array<vec4u>;
@group(0) @binding(4) var<storage, read> positions: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

var<workgroup> query: array<vec4f, 256>; // [N_SHARED, HEAD_DIM / 4]
var<workgroup> weights: array<vec4f, 128>; // [row of the tile], one component per head
var<workgroup> shared_max: array<vec4f, 32>;
var<workgroup> sums: array<vec4f, 256>; // [slice, HEAD_DIM / 4]

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i_kv = group.y / params.n_parts;
  let first_of_group = (group.y % params.n_parts) * N_SHARED;
  let first_head = (params.first_kv_head + i_kv) * params.n_groups + first_of_group;
  let place = params.heads[i_kv];
  load_query(lane, first_of_group, first_head);
  workgroupBarrier();
  attend_rows(lane, group.x, place, first_of_group, first_head);
}

fn load_query(lane: u32, first_of_group: u32, first_head: u32) {
  let n_quads = HEAD_DIM / 4u;
  for (var i = lane; i < N_SHARED * n_quads; i += LANES) {
    let g = i / n_quads;
    var quad = vec4f(0.0);
    if (first_of_group + g < params.n_groups) {
      let at = params.qkv_offset + (first_head + g) * HEAD_DIM + 4u * (i - g * n_quads);
      quad = vec4f(qkv[at], qkv[at + 1u], qkv[at + 2u], qkv[at + 3u]);
    }
    query[i] = quad * params.scale;
  }
}
