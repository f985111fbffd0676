// quantize: tokens, normed or as they are, as signed bytes with a scale for each 32 columns.
//
//   y[t, c] = x[t, c] norm[c] / sqrt(mean_c x[t, c]^2 + eps)   (x[t, c] without norm)
//   scale = max |y| / 127 over the group;  code = round(y / scale), ties to even
//
// | binding | name   | access     | element | shape                                     |
// |---------|--------|------------|---------|-------------------------------------------|
// | 0       | params | uniform    | struct  | Params                                    |
// | 1       | x      | read       | vec4f   | [n_tokens, n_groups 8]                    |
// | 2       | norm   | read       | vec4f   | [n_groups 8]                              |
// | 3       | codes  | read_write | u32     | [n_tokens, n_groups 8], four columns each |
// | 4       | scales | read_write | f32     | [n_tokens, n_groups]                      |
//
// Dispatch: (n_tokens, 1); one workgroup for each token, an invocation for each group.
// Overrides: HAS_NORM (true).  Needs: none.  Lib: sum_workgroup.
// Reference: engine/reference/ops.ts#quantizeActivations, #rmsNorm.

struct Params {
  n_groups: u32,
  x_at: u32, // in vec4f
  norm_at: u32, // in vec4f
  codes_at: u32,
  scales_at: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> norm: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> codes: array<u32>;
@group(0) @binding(4) var<storage, read_write> scales: array<f32>;

override HAS_NORM: bool = true;

const WORKGROUP_SIZE = 128u;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) workgroup: vec3u) {
  let n_quads = 8u * params.n_groups;
  let origin = params.x_at + workgroup.x * n_quads;
  var factor = 1.0;
  if (HAS_NORM) {
    var sum = 0.0;
    for (var quad = local; quad < n_quads; quad += WORKGROUP_SIZE) {
      sum += dot(x[origin + quad], x[origin + quad]);
    }
    factor = 1.0 / sqrt(sum_workgroup(local, sum) / f32(4u * n_quads) + params.eps);
  }
  for (var group = local; group < params.n_groups; group += WORKGROUP_SIZE) {
    var most = vec4f(0.0);
    for (var k = 0u; k < 8u; k++) {
      most = max(most, abs(value_of(origin, 8u * group + k, factor)));
    }
    let pair = max(most.xy, most.zw);
    let scale = max(pair.x, pair.y) / 127.0;
    scales[params.scales_at + workgroup.x * params.n_groups + group] = scale;
    let to = params.codes_at + workgroup.x * n_quads + 8u * group;
    for (var k = 0u; k < 8u; k++) {
      var levels = vec4i(0);
      if (scale > 0.0) {
        let steps = round(value_of(origin, 8u * group + k, factor) / scale);
        levels = vec4i(clamp(steps, vec4f(-127.0), vec4f(127.0)));
      }
      codes[to + k] = pack4xI8(levels);
    }
  }
}

fn value_of(origin: u32, quad: u32, factor: f32) -> vec4f {
  var value = x[origin + quad] * factor;
  if (HAS_NORM) {
    value *= norm[params.norm_at + quad];
  }
  return value;
}
