// draw_all: a token drawn from all columns, in their order.
//
// | binding | name   | access     | element | shape                                        |
// |---------|--------|------------|---------|----------------------------------------------|
// | 0       | params | uniform    | struct  | Params                                       |
// | 1       | logits | read       | u32     | [n_cols], the bits of f32                    |
// | 2       | keys   | read       | vec2u   | [n_slices]: ordered bits of the largest, sum |
// | 3       | out    | read_write | u32     | [5]: token, highest, total, before, own      |
//
// The slice that holds the fraction of the sum, then the lane's 32 columns, then the column.
// Dispatch: (1).
// Overrides: none.  Needs: none.  Lib: logit_weight, order.
// Reference: engine/reference/draw.ts#draw.

struct Params {
  n_cols: u32,
  logits_at: u32,
  n_slices: u32,
  rate: f32, // 1 / temperature
  fraction: f32,
  out_at: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<u32>;
@group(0) @binding(2) var<storage, read> keys: array<vec2u>;
@group(0) @binding(3) var<storage, read_write> out: array<u32>;

const SLICE = 8192u;
const OF_LANE = 32u;

var<workgroup> sums: array<f32, 256>;
var<workgroup> chosen: atomic<u32>;

fn slice_sum(slice: u32, highest: f32) -> f32 {
  let key = keys[slice];
  return bitcast<f32>(key.y) * logit_weight(key.x, highest, params.rate);
}

fn column_weight(column: u32, highest: f32) -> f32 {
  let order = logit_order(logits[params.logits_at + column]);
  return logit_weight(order, highest, params.rate);
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
  var top = 0u;
  for (var slice = 0u; slice < params.n_slices; slice++) {
    top = max(top, keys[slice].x);
  }
  let highest = bitcast<f32>(logit_bits(top));
  var total = 0.0;
  for (var slice = 0u; slice < params.n_slices; slice++) {
    total += slice_sum(slice, highest);
  }
  // The last part that begins there or before and weighs something.
  let wanted = params.fraction * total;
  var slice_of_it = 0u;
  var before = 0.0;
  var running = 0.0;
  for (var slice = 0u; slice < params.n_slices; slice++) {
    let sum = slice_sum(slice, highest);
    if (sum > 0.0 && running <= wanted) {
      slice_of_it = slice;
      before = running;
    }
    running += sum;
  }

  let begin = min(slice_of_it * SLICE + lane * OF_LANE, params.n_cols);
  let end = min(begin + OF_LANE, params.n_cols);
  var sum = 0.0;
  for (var column = begin; column < end; column++) {
    sum += column_weight(column, highest);
  }
  sums[lane] = sum;
  if (lane == 0u) {
    atomicStore(&chosen, 0u);
  }
  workgroupBarrier();
  for (var other = 0u; other < lane; other++) {
    before += sums[other];
  }
  if (sum > 0.0 && before <= wanted) {
    atomicMax(&chosen, lane);
  }
  workgroupBarrier();
  if (lane != atomicLoad(&chosen)) {
    return;
  }
  var token = begin;
  var own = 0.0;
  running = before;
  for (var column = begin; column < end; column++) {
    let weight = column_weight(column, highest);
    if (weight > 0.0 && running <= wanted) {
      token = column;
      before = running;
      own = weight;
    }
    running += weight;
  }
  out[params.out_at] = token;
  out[params.out_at + 1u] = logit_bits(top);
  out[params.out_at + 2u] = bitcast<u32>(total);
  out[params.out_at + 3u] = bitcast<u32>(before);
  out[params.out_at + 4u] = bitcast<u32>(own);
}
