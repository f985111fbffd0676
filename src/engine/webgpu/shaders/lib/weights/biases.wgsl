// Biases of a product's segments, with bindings of their own: f32[n_rows of the segment] each.
@group(0) @binding(5) var<storage, read> bias_0: array<f32>;
@group(0) @binding(6) var<storage, read> bias_1: array<f32>;
@group(0) @binding(7) var<storage, read> bias_2: array<f32>;

fn bias_of(segment: u32, row: u32) -> f32 {
  if ((params.bias_mask & (1u << segment)) == 0u) {
    return 0.0;
  }
  if (segment == 0u) {
    return bias_0[params.bias_at_0 + row];
  }
  if (segment == 1u) {
    return bias_1[params.bias_at_1 + row];
  }
  return bias_2[params.bias_at_2 + row];
}
