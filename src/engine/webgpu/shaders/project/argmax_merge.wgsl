// argmax_merge: the largest of all slices' largest.
//
// | binding | name   | access     | element | shape                                     |
// |---------|--------|------------|---------|-------------------------------------------|
// | 0       | params | uniform    | struct  | Params                                    |
// | 1       | slices | read       | vec2u   | [n_tokens, n_slices]: ordered bits, index |
// | 2       | out    | read_write | u32     | [n_tokens]                                |
//
// Dispatch: (n_tokens, 1).
// Overrides: none.  Needs: none.  Lib: largest, order.
// Reference: engine/reference/ops.ts#argmax.

struct Params {
  slices_at: u32, // in vec2u
  n_slices: u32,
  out_at: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> slices: array<vec2u>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(128)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) workgroup: vec3u) {
  let origin = params.slices_at + workgroup.x * params.n_slices;
  var best = vec2u(0u, NO_INDEX);
  for (var i = local; i < params.n_slices; i += 128u) {
    best = larger(best, slices[origin + i]);
  }
  best = largest(local, best);
  if (local == 0u) {
    out[params.out_at + workgroup.x] = best.y;
  }
}
