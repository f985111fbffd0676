// measure_merge: the runs of measure_stats.wgsl, one after the other, as one.
//
//   merged[h, t] = (max over runs s, 1 / sum over s of sum[s] exp(max[s] - max))
//
// | binding | name   | access     | element   | shape                                    |
// |---------|--------|------------|-----------|------------------------------------------|
// | 0       | params | uniform    | struct    | MergeParams                              |
// | 1       | stats  | read       | vec2<f32> | [n, n_splits]: max, sum                  |
// | 2       | merged | read_write | vec2<f32> | [n]; (0, 0) for a query that sees no row |
//
// Dispatch: (ceil(n / 64), 1, 1).
// Overrides: none.   Needs: none.   Lib: none.
// Reference: engine/reference/ops.ts#attentionWeights.

const LANES = 64u;

struct MergeParams {
  n: u32, // query heads times queries
  n_splits: u32,
  stats_offset: u32, // in vec2
  merged_offset: u32, // in vec2
}

@group(0) @binding(0) var<uniform> params: MergeParams;
@group(0) @binding(1) var<storage, read> stats: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> merged: array<vec2f>;

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.n) {
    return;
  }
  let at = params.stats_offset + id.x * params.n_splits;
  var top = -3.0e38;
  var all = 0.0;
  for (var split = 0u; split < params.n_splits; split++) {
    let part = stats[at + split];
    let new_top = max(top, part.x);
    all = all * exp(top - new_top) + part.y * exp(part.x - new_top);
    top = new_top;
  }
  merged[params.merged_offset + id.x] = select(vec2f(0.0), vec2f(top, 1.0 / all), all > 0.0);
}
