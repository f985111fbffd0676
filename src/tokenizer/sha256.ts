/**
 * SHA-256, synchronous and incremental; the platforms' `crypto.subtle` is neither.
 *
 * @see FIPS 180-4, section 6.2.
 */
export class Sha256 {
  readonly #state = Int32Array.from(INITIAL_STATE);
  readonly #block = new Uint8Array(64);
  readonly #schedule = new Int32Array(64);
  #nBuffered = 0;
  #byteLength = 0;

  update(bytes: Uint8Array): this {
    this.#byteLength += bytes.length;
    let offset = 0;
    if (this.#nBuffered > 0) {
      offset = Math.min(64 - this.#nBuffered, bytes.length);
      this.#block.set(bytes.subarray(0, offset), this.#nBuffered);
      this.#nBuffered += offset;
      if (this.#nBuffered < 64) return this;
      this.#compress(this.#block, 0);
    }
    for (; offset + 64 <= bytes.length; offset += 64) this.#compress(bytes, offset);
    this.#block.set(bytes.subarray(offset));
    this.#nBuffered = bytes.length - offset;
    return this;
  }

  /** Ends the message; nothing may be added afterwards. */
  hex(): string {
    const bitLength = this.#byteLength * 8;
    const padding = new Uint8Array(((119 - (this.#byteLength % 64)) % 64) + 9);
    padding[0] = 0x80;
    const view = new DataView(padding.buffer);
    view.setUint32(padding.length - 8, Math.floor(bitLength / 2 ** 32));
    view.setUint32(padding.length - 4, bitLength % 2 ** 32);
    this.update(padding);
    return Array.from(this.#state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #compress(bytes: Uint8Array, offset: number): void {
    const w = this.#schedule;
    for (let i = 0, at = offset; i < 16; i++, at += 4) {
      w[i] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    }
    for (let i = 16; i < 64; i++) {
      const s0 = rotate(w[i - 15]!, 7) ^ rotate(w[i - 15]!, 18) ^ (w[i - 15]! >>> 3);
      const s1 = rotate(w[i - 2]!, 17) ^ rotate(w[i - 2]!, 19) ^ (w[i - 2]! >>> 10);
      w[i] = w[i - 16]! + s0 + w[i - 7]! + s1;
    }
    const state = this.#state;
    let a = state[0]!;
    let b = state[1]!;
    let c = state[2]!;
    let d = state[3]!;
    let e = state[4]!;
    let f = state[5]!;
    let g = state[6]!;
    let h = state[7]!;
    for (let i = 0; i < 64; i++) {
      const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUND_CONSTANTS[i]! + w[i]!) | 0;
      const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    state[0]! += a;
    state[1]! += b;
    state[2]! += c;
    state[3]! += d;
    state[4]! += e;
    state[5]! += f;
    state[6]! += g;
    state[7]! += h;
  }
}

const rotate = (word: number, n: number): number => (word >>> n) | (word << (32 - n));

const PRIMES = firstPrimes(64);
const INITIAL_STATE = PRIMES.slice(0, 8).map((prime) => rootBits(prime, 2n));
const ROUND_CONSTANTS = Int32Array.from(PRIMES, (prime) => rootBits(prime, 3n));

function firstPrimes(n: number): bigint[] {
  const primes: bigint[] = [];
  for (let candidate = 2n; primes.length < n; candidate++) {
    if (primes.every((prime) => candidate % prime !== 0n)) primes.push(candidate);
  }
  return primes;
}

/** The first 32 bits after the point of the `degree`-th root, exactly. */
function rootBits(prime: bigint, degree: bigint): number {
  const scaled = prime << (32n * degree);
  let low = 0n;
  let high = 1n << 40n; // the roots of primes below 312 are below 2^8
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (middle ** degree <= scaled) low = middle;
    else high = middle;
  }
  return Number(low & 0xffffffffn);
}
