// rms_norm: norms tokens, or carries them unchanged, into rows of whole groups of 32 columns.
//
//   y[t, c] = x[t, c] norm[c] / sqrt(mean_c x[t, c]^2 + eps)   (x[t, c] without norm)
//   out = y, 0 past n_cols | out + y                           (IS_ADDED)
//
// | binding | name   | access     | element | shape                  |
// |---------|--------|------------|---------|------------------------|
// | 0       | params | uniform    | struct  | Params                 |
// | 1       | x      | read       | f32     | [n_tokens, n_cols]     |
// | 2       | norm   | read       | f32     | [n_cols]               |
// | 3       | out    | read_write | f32     | [n_tokens, out_stride] |
//
// Dispatch: (n_tokens, 1); one workgroup for each token.
// Overrides: HAS_NORM (true), IS_ADDED (false).  Needs: none.  Lib: sum_workgroup.
// Reference: engine/reference/ops.ts#rmsNorm.

struct Params {
  n_cols: u32,
  x_at: u32,
  norm_at: u32,
  out_at: u32,
  out_stride: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> norm: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

override HAS_NORM: bool = true;
override IS_ADDED: bool = false;

const WORKGROUP_SIZE = 128u;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) n_workgroups: vec3u,
) {
  let token = workgroup.y * n_workgroups.x + workgroup.x;
  let n_cols = params.n_cols;
  let origin = params.x_at + token * n_cols;
  var factor = 1.0;
  if (HAS_NORM) {
    var sum = 0.0;
    for (var c = local; c < n_cols; c += WORKGROUP_SIZE) {
      sum = fma(x[origin + c], x[origin + c], sum);
    }
    factor = 1.0 / sqrt(sum_workgroup(local, sum) / f32(n_cols) + params.eps);
  }
  let to = params.out_at + token * params.out_stride;
  for (var c = local; c < params.out_stride; c += WORKGROUP_SIZE) {
    var y = 0.0;
    if (c < n_cols) {
      y = x[origin + c] * factor;
      if (HAS_NORM) {
        y *= norm[params.norm_at + c];
      }
    }
    if (IS_ADDED) {
      out[to + c] += y;
    } else {
      out[to + c] = y;
    }
  }
}
