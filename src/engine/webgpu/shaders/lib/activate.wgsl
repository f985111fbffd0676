// activate: the activations of gated feed-forward layers.

// silu: x / (1 + exp(-x)); gelu: x / (1 + exp(-2 z)), z = sqrt(2 / pi) (x + 0.044715 x^3), which is
// 0.5 x (1 + tanh z). The exponent is bounded: exp must not overflow.
fn activate(x: f32, is_gelu: bool) -> f32 {
  var exponent = -x;
  if (is_gelu) {
    exponent = -1.5957691216057308 * (x + 0.044715 * x * x * x);
  }
  return x / (1.0 + exp(min(exponent, 80.0)));
}
