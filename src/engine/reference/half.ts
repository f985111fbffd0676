// IEEE 754 binary16 as the bits of a u16. Stores round to nearest even; past the largest finite
// half they become infinite.

const asF32 = new Float32Array(1);
const asU32 = new Uint32Array(asF32.buffer);

/** The bits of the half nearest to `value`, ties to even. */
export function encodeHalf(value: number): number {
  asF32[0] = value;
  const bits = asU32[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65520 lies halfway between the largest half and the one that would follow.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // Below 2^-14 halves are multiples of 2^-24; the product is exact in f64.
  if (magnitude < 0x38800000) return sign | roundHalfEven(Math.abs(asF32[0]) * 2 ** 24);
  // Adding half a step, less one bit for an even mantissa, carries into the exponent when it must.
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** The value of a half given by its bits. */
export function decodeHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0x1f) return mantissa === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  return sign * (1024 + mantissa) * 2 ** (exponent - 25);
}

/** The integer nearest to `value` >= 0, ties to even. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const fraction = value - floor;
  if (fraction !== 0.5) return fraction < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
