// Python's random.Random, as far as the study's generator uses it: the same seed gives the same prompts.
//
// Source: CPython 3.11, Lib/random.py (seed version 2, _randbelow_with_getrandbits) and
// Modules/_randommodule.c (Mersenne Twister 19937, Matsumoto and Nishimura 1998).
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

const N = 624;
const M = 397;
const MATRIX_A = 0x9908b0df;
const UPPER = 0x80000000;
const LOWER = 0x7fffffff;

export class PythonRandom {
  readonly #state = new Uint32Array(N);
  #next = N;

  /** As `random.Random(seed)` with a text. */
  constructor(seed: string) {
    this.#seed(keyOf(seed));
  }

  /** `getrandbits(n)`, 1 to 32 bits. */
  bits(n: number): number {
    return this.#word() >>> (32 - n);
  }

  /** `randint(low, high)`: both ends included. */
  integer(low: number, high: number): number {
    return low + this.#below(high - low + 1);
  }

  /** `choice(list)`. */
  choice<T>(list: ArrayLike<T>): T {
    return list[this.#below(list.length)] as T;
  }

  #below(n: number): number {
    const nBits = 32 - Math.clz32(n);
    let value = this.bits(nBits);
    while (value >= n) value = this.bits(nBits);
    return value;
  }

  #word(): number {
    if (this.#next === N) this.#twist();
    let y = this.#at(this.#next++);
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  #twist(): void {
    for (let i = 0; i < N; i++) {
      const y = (this.#at(i) & UPPER) | (this.#at(i + 1) & LOWER);
      this.#state[i] = this.#at(i + M) ^ (y >>> 1) ^ (y & 1 ? MATRIX_A : 0);
    }
    this.#next = 0;
  }

  /** `init_by_array`. */
  #seed(key: Uint32Array): void {
    const state = this.#state;
    state[0] = 19650218;
    for (let i = 1; i < N; i++) state[i] = Math.imul(1812433253, this.#mixed(i)) + i;
    let i = 1;
    const step = (factor: number, add: number, sign: 1 | -1): void => {
      state[i] = (this.#at(i) ^ Math.imul(factor, this.#mixed(i))) + sign * add;
      i++;
      if (i < N) return;
      state[0] = this.#at(N - 1);
      i = 1;
    };
    for (let k = 0; k < Math.max(N, key.length); k++) {
      const j = k % key.length;
      step(1664525, (key[j] ?? 0) + j, 1);
    }
    for (let k = 1; k < N; k++) step(1566083941, i, -1);
    state[0] = UPPER;
  }

  #mixed(i: number): number {
    const before = this.#at(i - 1);
    return before ^ (before >>> 30);
  }

  #at(i: number): number {
    return this.#state[i % N] ?? 0;
  }
}

/** The text followed by its SHA-512, as one big-endian number in words of 32 bits, lowest first. */
function keyOf(seed: string): Uint32Array {
  const text = Buffer.from(seed, "utf8");
  const bytes = Buffer.concat([text, createHash("sha512").update(text).digest()]).reverse();
  const padded = Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
  const words = Array.from({ length: padded.length / 4 }, (_, i) => padded.readUInt32LE(4 * i));
  while (words.length > 1 && words.at(-1) === 0) words.pop();
  return Uint32Array.from(words);
}
