// Frequencies of the rotary embedding as kernels take them: fixed point, in turns (lib/turns.wgsl).
import type { RopeFrequencies } from "../../engine.ts";
import type { OpContext } from "./op-context.ts";
import type { Bound } from "../device/recorder.ts";

/** f32[headDim / 2], radians a position; the same bits beside every engine. */
export type FrequenciesOf = (frequencies: RopeFrequencies) => Float32Array;

const TURN = 2 * Math.PI;
const UNITS = 2 ** 64;

/** u32[n, 2]: low and high word of each frequency in units of 2^-64 turns. */
export function toTurns(radians: Float32Array): Uint32Array {
  const words = new Uint32Array(2 * radians.length);
  radians.forEach((frequency, i) => {
    // Exact but for the 53 bits of the quotient; whole turns fall off.
    const units = BigInt(Math.round(((frequency / TURN) % 1) * UNITS));
    words[2 * i] = Number(units & 0xffffffffn);
    words[2 * i + 1] = Number((units >> 32n) & 0xffffffffn);
  });
  return words;
}

export class FrequencyTables {
  readonly #context: OpContext;
  readonly #frequenciesOf: FrequenciesOf;
  readonly #tables = new Map<RopeFrequencies, Bound>();

  constructor(context: OpContext, frequenciesOf: FrequenciesOf) {
    this.#context = context;
    this.#frequenciesOf = frequenciesOf;
  }

  /** vec2<u32>[headDim / 2]; made once for each object. */
  get(frequencies: RopeFrequencies): Bound {
    let table = this.#tables.get(frequencies);
    if (table === undefined) {
      const { gpu, recorder } = this.#context;
      const words = toTurns(this.#frequenciesOf(frequencies));
      const allocation = gpu.allocate("rope frequencies", words.byteLength);
      gpu.device.queue.writeBuffer(allocation.buffer, 0, words as Uint32Array<ArrayBuffer>);
      table = recorder.bindRange(allocation, 0, words.byteLength);
      this.#tables.set(frequencies, table);
    }
    return table;
  }
}
