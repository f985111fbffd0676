// The types without blocks: F32, F16, BF16; and halves, which the scales of the other types are.

/**
 * F32: IEEE single precision.
 *
 * | byte | field | content |
 * |------|-------|---------|
 * | 0..4 | value | f32     |
 */
export function dequantizeF32(blocks: Uint8Array, out: Float32Array): void {
  // By bytes: the blocks may begin at any byte, and NaN payloads stay.
  new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(
    blocks.subarray(0, out.byteLength),
  );
}

/**
 * BF16: the upper half of an f32.
 *
 * | byte | field | content           |
 * |------|-------|-------------------|
 * | 0..2 | value | f32 >> 16, as u16 |
 */
export function dequantizeBf16(blocks: Uint8Array, out: Float32Array): void {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < bits.length; i++) {
    bits[i] = ((blocks[2 * i] as number) << 16) | ((blocks[2 * i + 1] as number) << 24);
  }
}

/**
 * F16: IEEE half precision.
 *
 * | byte | field | content        |
 * |------|-------|----------------|
 * | 0..2 | value | f16            |
 */
export function dequantizeF16(blocks: Uint8Array, out: Float32Array): void {
  const table = f16Table();
  for (let i = 0; i < out.length; i++) out[i] = table[readU16(blocks, 2 * i)] as number;
}

/** The f32 that equals the half with these 16 bits. */
export function f16ToF32(bits: number): number {
  return f16Table()[bits] as number;
}

/** A little-endian u16; blocks begin at any byte. */
export function readU16(bytes: Uint8Array, byteOffset: number): number {
  return (bytes[byteOffset] as number) | ((bytes[byteOffset + 1] as number) << 8);
}

/** The half at `byteOffset`, as f32. */
export function readF16(bytes: Uint8Array, byteOffset: number): number {
  return f16ToF32(readU16(bytes, byteOffset));
}

let table: Float32Array | undefined;

/** f32[65536], made at the first use: 256 KiB, and several times faster than computing each. */
function f16Table(): Float32Array {
  if (table) return table;
  const bits = new Uint32Array(2 ** 16);
  for (let half = 0; half < bits.length; half++) bits[half] = widen(half);
  table = new Float32Array(bits.buffer);
  return table;
}

/** The bits of an f32 from those of an f16. */
function widen(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21; // brings a subnormal's top bit to bit 10
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}
