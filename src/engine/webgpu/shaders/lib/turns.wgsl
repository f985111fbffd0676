// Angles as fractions of a turn in fixed point: exact for every position, whatever sin and cos the
// device has, and without f64. Source: CORDIC-style phase accumulators; Taylor series to x^9.

// The top 32 bits of n * frequency mod 2^64; `frequency` (low, high) in units of 2^-64 turns.
fn turns_of(n: u32, frequency: vec2u) -> u32 {
  let n_low = n & 0xffffu;
  let n_high = n >> 16u;
  let f_low = frequency.x & 0xffffu;
  let f_high = frequency.x >> 16u;
  let middle = n_high * f_low + ((n_low * f_low) >> 16u);
  let carried = n_low * f_high + (middle & 0xffffu);
  return n * frequency.y + n_high * f_high + (middle >> 16u) + (carried >> 16u);
}

// cos and sin of `turns` in units of 2^-32 turns; errors below 2^-23.
fn cos_sin(turns: u32) -> vec2f {
  let quadrant = (turns + 0x20000000u) >> 30u;
  // -1/8 to 1/8 turn, the rest of the nearest quarter, in radians.
  let x = f32(i32(turns - (quadrant << 30u))) * 1.4629180792671596e-9;
  let y = x * x;
  let cosine = 1.0 + y * (-0.5 + y * (4.1666668e-2 + y * (-1.3888889e-3 + y * 2.4801587e-5)));
  let sine = x + x * y * (-0.16666667 + y * (8.333333e-3 + y * (-1.9841270e-4 + y * 2.7557319e-6)));
  let turned = select(vec2f(cosine, sine), vec2f(-sine, cosine), (quadrant & 1u) == 1u);
  return select(turned, -turned, (quadrant & 2u) == 2u);
}
