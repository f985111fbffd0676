// draw_scan: what a slice of 8,192 logits adds to the softmax, and the largest of each of its 256
// groups: columns c of a group differ by multiples of 256.
//
// | binding | name   | access     | element | shape                                         |
// |---------|--------|------------|---------|-----------------------------------------------|
// | 0       | params | uniform    | struct  | Params                                        |
// | 1       | logits | read       | u32     | [n_cols], the bits of f32                     |
// | 2       | keys   | read_write | vec2u   | [n_slices]: ordered bits of the largest, f32  |
// |         |        |            |         | sum; [n_slices, 256]: ordered bits, ~column   |
//
// Dispatch: (n_slices).
// Overrides: none.  Needs: none.  Lib: logit_weight, order.
// Reference: engine/reference/draw.ts#draw.

struct Params {
  n_cols: u32,
  logits_at: u32,
  n_slices: u32,
  rate: f32, // on differences of logits: 1 / temperature
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<u32>;
@group(0) @binding(2) var<storage, read_write> keys: array<vec2u>;

const LANES = 256u;
const SLICE = 8192u;

var<workgroup> tops: array<u32, 256>;
var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
  let slice = workgroup.x;
  let begin = slice * SLICE + lane;
  let end = min((slice + 1u) * SLICE, params.n_cols);
  var best = vec2u(0u); // less than any logit's
  for (var c = begin; c < end; c += LANES) {
    let order = logit_order(logits[params.logits_at + c]);
    best = select(best, vec2u(order, ~c), order > best.x);
  }
  keys[params.n_slices + slice * LANES + lane] = best;
  tops[lane] = best.x;
  workgroupBarrier();
  for (var step = LANES / 2u; step > 0u; step >>= 1u) {
    if (lane < step) {
      tops[lane] = max(tops[lane], tops[lane + step]);
    }
    workgroupBarrier();
  }
  let top = tops[0];
  let highest = bitcast<f32>(logit_bits(top));
  var sum = 0.0;
  for (var c = begin; c < end; c += LANES) {
    sum += logit_weight(logit_order(logits[params.logits_at + c]), highest, params.rate);
  }
  sums[lane] = sum;
  workgroupBarrier();
  for (var step = LANES / 2u; step > 0u; step >>= 1u) {
    if (lane < step) {
      sums[lane] += sums[lane + step];
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    keys[slice] = vec2u(top, bitcast<u32>(sums[0]));
  }
}
