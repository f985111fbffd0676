// draw_top: the largest logits, and a token drawn from them.
//
// | binding | name   | access     | element | shape                                            |
// |---------|--------|------------|---------|--------------------------------------------------|
// | 0       | params | uniform    | struct  | Params                                           |
// | 1       | logits | read       | u32     | [n_cols], the bits of f32                        |
// | 2       | keys   | read_write | vec2u   | [n_slices], [n_slices, 256] as in draw_scan with |
// |         |        |            |         | rate 1, then [256, 32]: room for keys            |
// | 3       | out    | read_write | u32     | [5 + 2 n_candidates]: as Engine.draw             |
//
// The n largest of the groups' largest are no more than the n largest logits, which thus lie in n
// groups of 32 columns: of those that reach the n-th group's largest the n largest are taken.
// Dispatch: (1).
// Overrides: none.  Needs: none.  Lib: logit_weight, nth_largest, order.
// Reference: engine/reference/draw.ts#draw.

// Bits of `flags`.
const IS_TOP_K = 1u;
const IS_NUCLEUS = 2u;

struct Params {
  n_cols: u32,
  logits_at: u32,
  n_slices: u32,
  rate: f32, // 1 / temperature
  fraction: f32,
  out_at: u32,
  n_candidates: u32, // at most 256 and n_cols
  flags: u32,
  top_p: f32,
  min_p: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<u32>;
@group(0) @binding(2) var<storage, read_write> keys: array<vec2u>;
@group(0) @binding(3) var<storage, read_write> out: array<u32>;

const LANES = 256u;
const SLICE = 8192u;
const GROUP = 32u;

var<workgroup> n_taken: atomic<u32>;
var<workgroup> n_taken_by_all: u32;
var<workgroup> taken: array<vec2u, 256>;
var<workgroup> candidates: array<vec2u, 256>; // the largest first
var<workgroup> weights: array<f32, 256>;
var<workgroup> chosen: atomic<u32>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
  let n = params.n_candidates;
  let n_groups = params.n_slices * LANES;
  let list = params.n_slices + n_groups;
  let n_keys = list_keys(lane, take_groups(lane, params.n_slices, n_groups), list);
  storageBarrier();
  take_keys(lane, list, n_keys);

  let own = taken[lane];
  if (lane < n) {
    var rank = 0u;
    for (var other = 0u; other < n; other++) {
      rank += select(0u, 1u, is_less(own, taken[other]));
    }
    candidates[rank] = own;
  }
  workgroupBarrier();
  draw_candidate(lane);
}

// Zero for all invocations to count from.
fn begin_count(lane: u32) {
  if (lane == 0u) {
    atomicStore(&n_taken, 0u);
  }
  workgroupBarrier();
}

fn end_count(lane: u32) -> u32 {
  workgroupBarrier();
  if (lane == 0u) {
    n_taken_by_all = atomicLoad(&n_taken);
  }
  return workgroupUniformLoad(&n_taken_by_all);
}

// The groups with the largest largest, as (group, 0), and how many. The bound is left in `candidates[0]`.
fn take_groups(lane: u32, first: u32, n_groups: u32) -> u32 {
  let bound = nth_largest(lane, first, n_groups, params.n_candidates);
  begin_count(lane);
  for (var group = lane; group < n_groups; group += LANES) {
    let key = keys[first + group];
    let is_taken = key.x > 0u && !is_less(key, bound);
    if (is_taken) {
      taken[atomicAdd(&n_taken, 1u)] = vec2u(group, 0u);
    }
  }
  if (lane == 0u) {
    candidates[0] = bound;
  }
  return end_count(lane);
}

// Their columns that reach the bound, to `list`, and how many.
fn list_keys(lane: u32, n_groups: u32, list: u32) -> u32 {
  let bound = candidates[0];
  begin_count(lane);
  for (var i = lane; i < n_groups * GROUP; i += LANES) {
    let group = taken[i / GROUP].x;
    let column = (group / LANES) * SLICE + (i % GROUP) * LANES + group % LANES;
    if (column >= params.n_cols) {
      continue;
    }
    let key = vec2u(logit_order(logits[params.logits_at + column]), ~column);
    if (!is_less(key, bound)) {
      keys[list + atomicAdd(&n_taken, 1u)] = key;
    }
  }
  return end_count(lane);
}

fn take_keys(lane: u32, list: u32, n_keys: u32) {
  let bound = nth_largest(lane, list, n_keys, params.n_candidates);
  begin_count(lane);
  for (var i = lane; i < n_keys; i += LANES) {
    let key = keys[list + i];
    if (!is_less(key, bound)) {
      taken[atomicAdd(&n_taken, 1u)] = key;
    }
  }
  workgroupBarrier();
}

fn sum_of(n: u32) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < n; i++) {
    sum += weights[i];
  }
  return sum;
}

// Sums go from the first candidate to the last, so that none of more parts is smaller than one of fewer.
fn draw_candidate(lane: u32) {
  let n = params.n_candidates;
  let key = candidates[lane];
  let id = ~key.y;
  let top = candidates[0].x;
  let highest = bitcast<f32>(logit_bits(top));
  let plain = logit_weight(key.x, highest, 1.0);
  weights[lane] = plain;
  if (lane == 0u) {
    atomicStore(&chosen, 0u);
  }
  workgroupBarrier();
  var total = 0.0;
  for (var slice = 0u; slice < params.n_slices; slice++) {
    total += bitcast<f32>(keys[slice].y) * logit_weight(keys[slice].x, highest, 1.0);
  }
  let is_top_k = (params.flags & IS_TOP_K) != 0u;
  let is_nucleus = (params.flags & IS_NUCLEUS) != 0u;
  let mass = params.top_p * select(total, sum_of(n), is_top_k);
  let is_within = (!is_nucleus || sum_of(lane) < mass) && plain >= params.min_p;
  let is_kept = lane == 0u || (lane < n && is_within);
  let weight = select(0.0, logit_weight(key.x, highest, params.rate), is_kept);
  workgroupBarrier();
  weights[lane] = weight;
  workgroupBarrier();

  // Whoever may be any of all tokens is drawn in the order of ids.
  let by_id = !is_top_k && !is_nucleus;
  let wanted = params.fraction * sum_of(n);
  var before = 0.0;
  for (var other = 0u; other < n; other++) {
    let is_before = select(other < lane, ~candidates[other].y < id, by_id);
    before += select(0.0, weights[other], is_before);
  }
  if (weight > 0.0 && before <= wanted) {
    atomicMax(&chosen, select(lane, id, by_id));
  }
  workgroupBarrier();
  let last = atomicLoad(&chosen);
  if (lane == 0u) {
    out[params.out_at] = select(~candidates[min(last, n - 1u)].y, last, by_id);
    out[params.out_at + 1u] = logit_bits(top);
    out[params.out_at + 2u] = bitcast<u32>(total);
    out[params.out_at + 3u] = 0u;
    out[params.out_at + 4u] = 0u;
  }
  if (lane < n) {
    out[params.out_at + 5u + lane] = id;
    out[params.out_at + 5u + n + lane] = logit_bits(key.x);
  }
}
