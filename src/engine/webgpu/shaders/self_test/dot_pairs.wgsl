// dot_pairs: products of four signed bytes each.
//
//   out[i] = input[2i] . input[2i + 1]
//
// | binding | name   | access     | element | shape  |
// |---------|--------|------------|---------|--------|
// | 0       | params | uniform    | struct  | Params |
// | 1       | input  | read       | vec2u   | [64]   |
// | 2       | out    | read_write | i32     | [64]   |
//
// Dispatch: (1, 1).
// Overrides: none.  Needs: none.  Lib: dot_codes.
// Reference: engine/webgpu/variants/dot-tests.ts#dotOfBytes.

struct Params {
  first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec2u>;
@group(0) @binding(2) var<storage, read_write> out: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32) {
  let pair = input[params.first + local];
  out[local] = dot_codes(pair.x, pair.y);
}
