// attend_merge: the runs of rows of attend_decode to one result per head.
//
//   out[h] = sum_s exp(max[s] - max) sums[s] / sum_s exp(max[s] - max) total[s]
//
// | binding | name   | access     | element | shape                                          |
// |---------|--------|------------|---------|------------------------------------------------|
// | 0       | params | uniform    | struct  | MergeParams                                    |
// | 1       | parts  | read       | f32     | [n_heads, n_splits, head_dim + 2], sums, max,  |
// |         |        |            |         | total                                          |
// | 2       | out    | read_write | f32     | [n_heads, head_dim]                            |
//
// Dispatch: (n_heads, 1, 1); n_splits is at most 64.
// Overrides: none.   Needs: none.   Lib: none.
// Reference: engine/reference/engine.ts#attend.

struct MergeParams {
  head_dim: u32,
  n_splits: u32,
  out_offset: u32,
  parts_offset: u32,
}

@group(0) @binding(0) var<uniform> params: MergeParams;
@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

var<workgroup> factors: array<f32, 64>;
var<workgroup> totals: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let head = group.x;
  let width = params.head_dim + 2u;
  let at = params.parts_offset + head * params.n_splits * width;
  var top = -3.0e38;
  var total = 0.0;
  if (lane < params.n_splits) {
    top = parts[at + lane * width + params.head_dim];
    total = parts[at + lane * width + params.head_dim + 1u];
  }
  factors[lane] = top;
  workgroupBarrier();
  var most = -3.0e38;
  for (var split = 0u; split < params.n_splits; split++) {
    most = max(most, factors[split]);
  }
  workgroupBarrier();
  let factor = exp(top - most);
  factors[lane] = factor;
  totals[lane] = factor * total;
  workgroupBarrier();
  var all = 0.0;
  for (var split = 0u; split < params.n_splits; split++) {
    all += totals[split];
  }
  let scale = select(0.0, 1.0 / all, all > 0.0);
  for (var c = lane; c < params.head_dim; c += 64u) {
    var sum = 0.0;
    for (var split = 0u; split < params.n_splits; split++) {
      sum += factors[split] * parts[at + split * width + c];
    }
    out[params.out_offset + head * params.head_dim + c] = sum * scale;
  }
}
