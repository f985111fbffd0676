// widen_halves: f16 numbers as f32, eight by eight and four by four.
//
//   out = input, widened; then the first four of each eight once more, [128] and [64]
//
// | binding | name   | access     | element | shape  |
// |---------|--------|------------|---------|--------|
// | 0       | params | uniform    | struct  | Params |
// | 1       | input  | read       | vec4u   | [64]   |
// | 2       | out    | read_write | vec4f   | [192]  |
//
// Dispatch: (1, 1).
// Overrides: none.  Needs: none.  Lib: halves.
// Reference: engine/webgpu/variants/half-tests.ts#widened.

struct Params {
  first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32) {
  let words = input[params.first + local];
  let eight = eight_halves(words);
  out[2u * local] = eight[0];
  out[2u * local + 1u] = eight[1];
  out[128u + local] = four_halves(words.xy);
}
