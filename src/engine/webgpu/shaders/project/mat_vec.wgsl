// mat_vec: projections of a few tokens; each weight is read once for all of them.
//
//   y[t, r] = sum_c weight[r, c] x[t, c]              without norm
//   y[t, r] = sum_c weight[r, c] norm[c] x[t, c] / sqrt(mean_c x[t, c]^2 + eps)
//   out = y + bias | out + y | activation(y_gate) y_up               (mode STORE | ADD | IS_GATED)
//
// | binding | name    | access     | element | shape                           |
// |---------|---------|------------|---------|---------------------------------|
// | 0       | params  | uniform    | struct  | Params                          |
// | 1       | weights | read       | u32     | rows of weight-layout.ts        |
// | 2       | x       | read       | vec4f   | [n_tokens, n_groups 8]          |
// | 3       | norm    | read       | vec4f   | [n_groups 8]                    |
// | 4       | out     | read_write | f32     | [n_tokens, out_stride]          |
//
// With biases the library is `biases`, which adds bindings.
// Dispatch: ceil(n_rows / (WORKGROUP_SIZE / lanes)) workgroups, over x and y; `lanes` invocations
// for each row.
// Overrides: N_TOKENS (1), IS_GATED (false).  Needs: none.  Lib: weights, weight_codes,
// activate, sum_lanes, no_bias.
// Reference: engine/reference/engine.ts#normProject, #projectAdd, #normGateUp.

struct Params {
  n_groups: u32,
  row_words: u32,
  n_rows: u32, // of all segments; with a gate those of one of its two
  out_at: u32,
  out_stride: u32,
  x_at: u32, // in vec4f
  norm_at: u32, // in vec4f
  eps: f32,
  // Segment s holds rows end[s - 1] .. end[s] of the output, its weights begin at word weight[s].
  end_0: u32,
  end_1: u32,
  weight_0: u32,
  weight_1: u32, // with a gate: of the other matrix
  weight_2: u32,
  bias_at_0: u32,
  bias_at_1: u32,
  bias_at_2: u32,
  bias_mask: u32, // bit s: segment s has a bias
  mode: u32, // STORE, ADD; with a gate SILU, GELU
  has_norm: u32,
  n_tokens: u32, // at most N_TOKENS
  lanes: u32, // a power of two from N_TOKENS to WORKGROUP_SIZE
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> norm: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

override N_TOKENS: u32 = 1u;
override IS_GATED: bool = false;

const WORKGROUP_SIZE = 64u;
const MAX_TOKENS = 8u;
const ADD = 1u;
const GELU = 3u;

// Of each invocation, for one token at a time: sums with the first and the second weight, and of the
// squares of x.
var<workgroup> partials: array<vec4f, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) n_workgroups: vec3u,
) {
  let lanes = params.lanes;
  let lane = local & (lanes - 1u);
  let first_row = (workgroup.y * n_workgroups.x + workgroup.x) * (WORKGROUP_SIZE / lanes);
  let row = first_row + local / lanes;
  let has_norm = params.has_norm != 0u;
  let n_groups = params.n_groups;
  var segment = 0u;
  var weight = params.weight_0;
  var row_in_segment = row;
  if (!IS_GATED && row >= params.end_0) {
    segment = 1u;
    weight = params.weight_1;
    row_in_segment = row - params.end_0;
    if (row >= params.end_1) {
      segment = 2u;
      weight = params.weight_2;
      row_in_segment = row - params.end_1;
    }
  }

  var sums = array<vec4f, MAX_TOKENS>();
  if (row < params.n_rows) {
    let words = weight + row_in_segment * params.row_words;
    let gate_words = params.weight_1 + row_in_segment * params.row_words;
    for (var u = lane; u < 4u * n_groups; u += lanes) {
      let group = u >> 2u;
      let j = u & 3u;
      let column = 8u * group + j;
      var first = load_unit(words, n_groups, group, j);
      var second = Unit(vec4f(0.0), vec4f(0.0));
      if (IS_GATED) {
        second = load_unit(gate_words, n_groups, group, j);
      }
      if (has_norm) {
        let near_norm = norm[params.norm_at + column];
        let far_norm = norm[params.norm_at + column + 4u];
        first = Unit(first.near * near_norm, first.far * far_norm);
        second = Unit(second.near * near_norm, second.far * far_norm);
      }
      for (var t = 0u; t < N_TOKENS; t++) {
        let token = min(t, params.n_tokens - 1u);
        let at = params.x_at + token * 8u * n_groups + column;
        let near = x[at];
        let far = x[at + 4u];
        sums[t].x += dot(first.near, near) + dot(first.far, far);
        if (IS_GATED) {
          sums[t].y += dot(second.near, near) + dot(second.far, far);
        }
        if (has_norm) {
          sums[t].z += dot(near, near) + dot(far, far);
        }
      }
    }
  }

  // Lane t finishes token t.
  var sum = vec3f(0.0);
  for (var t = 0u; t < N_TOKENS; t++) {
    let all = sum_lanes(local, lanes, sums[t]);
    if (lane == t) {
      sum = all.xyz;
    }
    if (t + 1u < N_TOKENS) {
      workgroupBarrier();
    }
  }
  if (lane >= params.n_tokens || row >= params.n_rows) {
    return;
  }
  if (has_norm) {
    let mean = sum.z / f32(32u * n_groups);
    sum *= 1.0 / sqrt(mean + params.eps);
  }
  let at = params.out_at + lane * params.out_stride + row;
  if (IS_GATED) {
    out[at] = activate(sum.x, params.mode == GELU) * sum.y;
    return;
  }
  var added = 0.0;
  if (params.mode == ADD) {
    added = out[at];
  } else {
    added = bias_of(segment, row_in_segment);
  }
  out[at] = sum.x + added;
}
