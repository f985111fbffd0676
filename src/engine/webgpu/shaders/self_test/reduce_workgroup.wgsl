// reduce_workgroup: what the reductions over a workgroup give to each invocation.
//
//   out = sums of input.x, then (sum, max) of input, [2][128]; then the largest pair of its bits
//
// | binding | name   | access     | element | shape   |
// |---------|--------|------------|---------|---------|
// | 0       | params | uniform    | struct  | Params  |
// | 1       | input  | read       | vec4f   | [128]   |
// | 2       | out    | read_write | vec4f   | [385]   |
//
// Dispatch: (1, 1).
// Overrides: none.  Needs: none.  Lib: attend_reduce, largest, order, sum_workgroup.
// Reference: engine/webgpu/variants/reduce-tests.ts#overWorkgroup.

struct Params {
  unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;

var<workgroup> weights: array<vec4f, 128>;
var<workgroup> shared_max: array<vec4f, 32>;

@compute @workgroup_size(128)
fn main(@builtin(local_invocation_index) local: u32) {
  let own = input[local];
  out[local] = vec4f(sum_workgroup(local, own.x));
  out[128u + local] = max_of_lanes(local, own);
  workgroupBarrier();
  out[256u + local] = sum_of_lanes(local, own);
  let best = largest(local, vec2u(ordered(bitcast<u32>(own.y)), local + params.unused));
  if (local == 0u) {
    out[384u] = vec4f(f32(best.x >> 16u), f32(best.x & 0xffffu), f32(best.y), 0.0);
  }
}
