// Known answers for f16 numbers: each is an f32 too, so the bits are known.
import { linkShader } from "../device/pipelines.ts";
import type { SelfTest } from "../device/variant.ts";
import halves from "../shaders/lib/halves.wgsl";
import widenHalves from "../shaders/self_test/widen_halves.wgsl";

const SHADER = linkShader("widen_halves", widenHalves, halves);
const N = 512; // of 64 invocations, eight each

export function halfTests(): SelfTest[] {
  // Zeros, then every exponent of normal numbers with both signs and changing fractions.
  const bits = Uint16Array.from({ length: N }, (_, i) => {
    if (i < 2) return i * 0x8000;
    return ((i % 2) << 15) | ((1 + (i % 30)) << 10) | ((i * 397) % 1024);
  });
  const values = Array.from(bits, widened);
  const firstFour = values.filter((_, i) => i % 8 < 4);
  const expected = Float32Array.from([...values, ...firstFour]);
  return [
    {
      shader: SHADER,
      constants: {},
      params: Uint32Array.of(0),
      input: new Uint32Array(bits.buffer),
      expected: new Uint32Array(expected.buffer),
    },
  ];
}

/** The value of a normal f16, or of a zero. */
function widened(bits: number): number {
  const sign = bits >= 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  return exponent === 0 ? sign * 0 : sign * 2 ** (exponent - 15) * (1 + (bits & 1023) / 1024);
}
