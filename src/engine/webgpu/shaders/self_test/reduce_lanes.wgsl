// reduce_lanes: what sum_lanes gives to each invocation.
//
//   out[i] = sum of input over the run of `lanes` invocations that i is in
//
// | binding | name   | access     | element | shape |
// |---------|--------|------------|---------|-------|
// | 0       | params | uniform    | struct  | Params |
// | 1       | input  | read       | vec4f   | [64]  |
// | 2       | out    | read_write | vec4f   | [64]  |
//
// Dispatch: (1, 1).
// Overrides: none.  Needs: none.  Lib: sum_lanes.
// Reference: engine/webgpu/variants/reduce-tests.ts#sumsOfRuns.

struct Params {
  lanes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;

var<workgroup> partials: array<vec4f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32) {
  out[local] = sum_lanes(local, params.lanes, input[local]);
}
