// f16 by its bits, exact on every device: rounding to nearest even, subnormals kept. The built-in
// pack2x16float and unpack2x16float may round or flush otherwise. Reference: engine/reference/half.ts.

// The f16 nearest to the f32 given by its bits; what f16 cannot hold becomes its largest.
fn encode_half(bits: u32) -> u32 {
  let sign = (bits >> 16u) & 0x8000u;
  let magnitude = min(bits & 0x7fffffffu, 0x477fe000u);
  if (magnitude >= 0x38800000u) {
    let rounded = magnitude + 0xfffu + ((magnitude >> 13u) & 1u);
    return sign | ((rounded - 0x38000000u) >> 13u);
  }
  // Below 2^-14 halves are multiples of 2^-24.
  let exponent = magnitude >> 23u;
  if (exponent < 102u) {
    return sign;
  }
  let mantissa = (magnitude & 0x7fffffu) | 0x800000u;
  let shift = 126u - exponent;
  let whole = mantissa >> shift;
  let rest = mantissa & ((1u << shift) - 1u);
  let middle = 1u << (shift - 1u);
  let is_up = rest > middle || (rest == middle && (whole & 1u) == 1u);
  return sign | (whole + select(0u, 1u, is_up));
}

// The bits of the f32 that an f16 (low 16 bits of `half`) stands for; finite ones only.
fn decode_half(half: u32) -> u32 {
  let sign = (half & 0x8000u) << 16u;
  let exponent = (half >> 10u) & 0x1fu;
  let mantissa = half & 0x3ffu;
  if (exponent != 0u) {
    return sign | ((exponent + 112u) << 23u) | (mantissa << 13u);
  }
  if (mantissa == 0u) {
    return sign;
  }
  // mantissa * 2^-24, normalised.
  let zeros = countLeadingZeros(mantissa);
  let shifted = (mantissa << (zeros - 8u)) & 0x7fffffu;
  return sign | ((134u - zeros) << 23u) | shifted;
}
