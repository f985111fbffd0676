// logit_weight: logits as keys, and their parts of a softmax. Lib: order.

const LOWEST_LOGIT = 0x007fffffu; // ordered(-infinity)
const FLOOR = -1000.0; // of differences: far below what exp can tell from 0, far from overflow

// The ordered bits of a logit; NaN counts as -infinity.
fn logit_order(bits: u32) -> u32 {
  return select(ordered(bits), LOWEST_LOGIT, (bits & 0x7fffffffu) > 0x7f800000u);
}

// The bits that `order` was made of.
fn logit_bits(order: u32) -> u32 {
  return select(~order, order & 0x7fffffffu, (order & 0x80000000u) != 0u);
}

// exp((logit - highest) rate), 0 for -infinity.
fn logit_weight(order: u32, highest: f32, rate: f32) -> f32 {
  let difference = max(bitcast<f32>(logit_bits(order)) - highest, FLOOR);
  return select(exp(difference * rate), 0.0, order <= LOWEST_LOGIT);
}
