/**
 * xoshiro128** over 32-bit integers, seeded by SplitMix64: the same numbers in every runtime.
 *
 * @see Blackman & Vigna 2021, doi:10.1145/3460772; https://prng.di.unimi.it
 */
export class Xoshiro128 {
  readonly #state: Uint32Array; // [4]

  /** @param seed An integer from 0 to 2^53 - 1, or the four words of the state, not all 0. */
  constructor(seed: number | readonly [number, number, number, number]) {
    this.#state = typeof seed === "number" ? splitMix64(BigInt(seed)) : Uint32Array.from(seed);
  }

  /** @returns An integer from 0 to 2^32 - 1. */
  nextUint32(): number {
    const s = this.#state;
    const result = Math.imul(rotate(Math.imul(s[1]!, 5), 7), 9) >>> 0;
    const shifted = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= shifted;
    s[3] = rotate(s[3]!, 11);
    return result;
  }

  /** @returns A multiple of 2^-53, 0 <= x < 1. */
  nextFraction(): number {
    const high = this.nextUint32() >>> 5; // 27 bits
    const low = this.nextUint32() >>> 6; // 26 bits
    return (high * 2 ** 26 + low) / 2 ** 53;
  }
}

const rotate = (word: number, n: number): number => (word << n) | (word >>> (32 - n));

/** @returns Two outputs of SplitMix64, each as low word, high word. */
function splitMix64(seed: bigint): Uint32Array {
  const words = new Uint32Array(4);
  let state = seed;
  for (let i = 0; i < 4; i += 2) {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let z = state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    z ^= z >> 31n;
    words[i] = Number(z & 0xffffffffn);
    words[i + 1] = Number(z >> 32n);
  }
  return words;
}
