// gate: the two halves of a gated feed-forward layer become one.
//
//   out[t, i] = activation(x[t, i]) x[t, size + i]
//
// | binding | name   | access     | element | shape              |
// |---------|--------|------------|---------|--------------------|
// | 0       | params | uniform    | struct  | Params             |
// | 1       | x      | read       | f32     | [n_tokens, 2 size] |
// | 2       | out    | read_write | f32     | [n_tokens, size]   |
//
// Dispatch: (ceil(size / 64), n_tokens).
// Overrides: IS_GELU (false).  Needs: none.  Lib: activate.
// Reference: engine/reference/ops.ts#activate.

struct Params {
  size: u32,
  x_at: u32,
  out_at: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

override IS_GELU: bool = false;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i >= params.size) {
    return;
  }
  let origin = params.x_at + id.y * 2u * params.size + i;
  out[params.out_at + id.y * params.size + i] =
    activate(x[origin], IS_GELU) * x[origin + params.size];
}
