// measure_outputs: L1 norms of rows' values after a head's part of the output projection.
//
//   out[h, r] (+)= sum over i of |weight[i, h HEAD_DIM ..] . v[r]|
//
// | binding | name   | access     | element   | shape                                        |
// |---------|--------|------------|-----------|----------------------------------------------|
// | 0       | params | uniform    | struct    | OutputNormsParams                            |
// | 1       | values | read       | vec2<u32> | [n_rows, HEAD_DIM] f32, or f16 in pairs      |
// | 2       | weight | read       | vec4<f32> | [n_outputs, n_heads HEAD_DIM]: some rows     |
// | 3       | out    | read_write | f32       | [n_heads, stride]                            |
//
// A lane takes a row of one head, its value in registers; rows of the weight pass by in tiles.
// Cells past the head's length are 0.
// Dispatch: (ceil(stride / 64), query heads of this call, 1).
// Overrides: HEAD_DIM (64), at most 256; IS_F16 (true).   Needs: none.   Lib: row_dot.
// Reference: engine/reference/measure.ts#measureOutputs.

override HEAD_DIM: u32 = 64u;
override IS_F16: bool = true;

const N_STAGED = 512u; // quads of the weight
const MAX_QUADS = 64u;

struct OutputNormsParams {
  n_groups: u32,
  n_heads: u32,
  first_kv_head: u32,
  n_outputs: u32,
  values_offset: u32, // in vec2
  weight_offset: u32, // in vec4
  out_offset: u32,
  stride: u32,
  is_added: u32,
  padding_0: u32,
  padding_1: u32,
  padding_2: u32,
  heads: array<vec4u, 12>, // start, length
}

@group(0) @binding(0) var<uniform> params: OutputNormsParams;
@group(0) @binding(1) var<storage, read> values: array<vec2u>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

var<workgroup> staged: array<vec4f, 512>; // [outputs of the tile, HEAD_DIM / 4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = params.first_kv_head * params.n_groups + group.y;
  let place = params.heads[group.y / params.n_groups];
  let row = group.x * 64u + lane;
  let n_quads = HEAD_DIM / 4u;
  let is_row = row < place.y;

  var value = array<vec4f, MAX_QUADS>();
  if (is_row) {
    for (var k = 0u; k < n_quads; k++) {
      value[k] = value_quad((place.x + row) * n_quads + k);
    }
  }
  let cell = params.out_offset + head * params.stride + row;
  var sum = 0.0;
  if (params.is_added == 1u && row < params.stride) {
    sum = out[cell];
  }
  let tile_outputs = N_STAGED / n_quads;
  for (var tile = 0u; tile < params.n_outputs; tile += tile_outputs) {
    let n_tile = min(tile_outputs, params.n_outputs - tile);
    workgroupBarrier();
    for (var i = lane; i < n_tile * n_quads; i += 64u) {
      let o = i / n_quads;
      let at = ((tile + o) * params.n_heads + head) * n_quads + i - o * n_quads;
      staged[i] = weight[params.weight_offset + at];
    }
    workgroupBarrier();
    if (is_row) {
      for (var o = 0u; o < n_tile; o++) {
        var products = vec4f(0.0);
        for (var k = 0u; k < n_quads; k++) {
          products = multiply_add(staged[o * n_quads + k], value[k], products);
        }
        sum += abs(sum_quad(products));
      }
    }
  }
  if (row < params.stride) {
    out[cell] = sum;
  }
}

fn value_quad(cell: u32) -> vec4f {
  if (IS_F16) {
    let words = values[params.values_offset + cell];
    return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
  }
  let at = params.values_offset + 2u * cell;
  return bitcast<vec4f>(vec4u(values[at], values[at + 1u]));
}
