// Known answers for products of bytes.
import { linkShader } from "../device/pipelines.ts";
import type { SelfTest } from "../device/variant.ts";
import dotCodes from "../shaders/lib/weights/dot_codes.wgsl";
import dotPairs from "../shaders/self_test/dot_pairs.wgsl";

const SHADER = linkShader("dot_pairs", dotPairs, dotCodes);
const N_PAIRS = 64;

export function dotTests(): SelfTest[] {
  // Both signs of every size, the extremes among them, and no two pairs alike.
  const bytes = Int8Array.from({ length: 8 * N_PAIRS }, (_, i) => {
    if (i < 16) return i % 3 === 0 ? -128 : 127;
    return ((i * 73 + (i >> 3) * 29) % 256) - 128;
  });
  const expected = Int32Array.from({ length: N_PAIRS }, (_, i) => dotOfBytes(bytes, 8 * i));
  return [
    {
      shader: SHADER,
      constants: {},
      params: Uint32Array.of(0),
      input: new Uint32Array(bytes.buffer),
      expected: new Uint32Array(expected.buffer),
    },
  ];
}

/** Four bytes from `at` on, times the four behind them. */
function dotOfBytes(bytes: Int8Array, at: number): number {
  let sum = 0;
  for (let i = at; i < at + 4; i++) sum += (bytes[i] ?? NaN) * (bytes[i + 4] ?? NaN);
  return sum;
}
