// Seeded random numbers for tests, the same in every runtime.

/** SplitMix64 (Steele, Lea and Flood 2014), on 32-bit halves. */
export class Rng {
  readonly seed: number;
  #high: number;
  #low: number;

  constructor(seed: number) {
    this.seed = seed;
    this.#high = Math.floor(seed / 2 ** 32) >>> 0;
    this.#low = seed >>> 0;
  }

  /** A u32: the upper half of the next u64. */
  next(): number {
    // state += 0x9e3779b97f4a7c15
    const low = this.#low + 0x7f4a7c15;
    this.#high = (this.#high + 0x9e3779b9 + (low > 0xffffffff ? 1 : 0)) >>> 0;
    this.#low = low >>> 0;
    let z: Pair = [this.#high, this.#low];
    z = multiply(xorShift(z, 30), [0xbf58476d, 0x1ce4e5b9]);
    z = multiply(xorShift(z, 27), [0x94d049bb, 0x133111eb]);
    return xorShift(z, 31)[0];
  }

  /** Uniform in [low, high). */
  uniform(low = 0, high = 1): number {
    return low + (this.next() / 2 ** 32) * (high - low);
  }

  /** Uniform integer in [low, high). */
  integer(low: number, high: number): number {
    return low + Math.floor(this.uniform() * (high - low));
  }

  /** Standard normal (Box and Muller). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** f32[n], standard normal times `scale`. */
  normals(n: number, scale = 1): Float32Array {
    return Float32Array.from({ length: n }, () => this.normal() * scale);
  }

  /** f32[n], uniform in [low, high). */
  uniforms(n: number, low: number, high: number): Float32Array {
    return Float32Array.from({ length: n }, () => this.uniform(low, high));
  }

  bytes(n: number): Uint8Array {
    return Uint8Array.from({ length: n }, () => this.next() & 0xff);
  }

  /** `n` distinct integers of [0, end), ascending. */
  subset(end: number, n: number): Uint32Array {
    const pool = Array.from({ length: end }, (_, i) => i);
    for (let i = 0; i < n; i++) {
      const j = this.integer(i, end);
      [pool[i], pool[j]] = [pool[j] as number, pool[i] as number];
    }
    return Uint32Array.from(pool.slice(0, n)).sort();
  }
}

/** A seed that depends on a test's name only. */
export function seedOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const char of name) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return hash;
}

/** The halves of a u64, upper first. */
type Pair = [number, number];

function xorShift([high, low]: Pair, n: number): Pair {
  return [(high ^ (high >>> n)) >>> 0, (low ^ ((low >>> n) | (high << (32 - n)))) >>> 0];
}

function multiply([aHigh, aLow]: Pair, [bHigh, bLow]: Pair): Pair {
  const [a1, a0, b1, b0] = [aLow >>> 16, aLow & 0xffff, bLow >>> 16, bLow & 0xffff];
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const middle2 = a0 * b1 + (middle % 0x10000);
  const carry = a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(middle2 / 0x10000);
  const cross = (Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) >>> 0;
  return [(carry + cross) >>> 0, Math.imul(aLow, bLow) >>> 0];
}
