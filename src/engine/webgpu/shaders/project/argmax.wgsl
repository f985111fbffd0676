// argmax: the largest of each slice of 2,048 columns, the first on ties.
//
// | binding | name   | access     | element | shape                                     |
// |---------|--------|------------|---------|-------------------------------------------|
// | 0       | params | uniform    | struct  | Params                                    |
// | 1       | logits | read       | u32     | [n_tokens, n_cols], the bits of f32       |
// | 2       | out    | read_write | vec2u   | [n_tokens, n_slices]: ordered bits, index |
//
// Dispatch: (n_slices, n_tokens).
// Overrides: none.  Needs: none.  Lib: largest, order.
// Reference: engine/reference/ops.ts#argmax.

struct Params {
  n_cols: u32,
  logits_at: u32,
  out_at: u32, // in vec2u
  n_slices: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec2u>;

const SLICE = 2048u;

@compute @workgroup_size(128)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) workgroup: vec3u) {
  let begin = workgroup.x * SLICE;
  let end = min(begin + SLICE, params.n_cols);
  let origin = params.logits_at + workgroup.y * params.n_cols;
  var best = vec2u(0u, NO_INDEX);
  for (var c = begin + local; c < end; c += 128u) {
    best = larger(best, vec2u(ordered(logits[origin + c]), c));
  }
  best = largest(local, best);
  if (local == 0u) {
    out[params.out_at + workgroup.y * params.n_slices + workgroup.x] = best;
  }
}
