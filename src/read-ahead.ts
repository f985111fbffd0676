// Greedy decode that does not wait for its tokens: where ops compute later, the next steps are
// recorded from the token on the device, and what was read too far is taken back. Used by
// sequence.ts. The tokens are the same with and without.
import type { KvCache } from "./cache/kv-cache.ts";
import type { Compressor } from "./compressor.ts";
import type { Decoder } from "./decode.ts";

export class ReadAhead {
  readonly #cache: KvCache;
  readonly #compressor: Compressor;
  readonly #decoder: Decoder;
  readonly #limit: number;
  /** The best tokens that are being read, oldest first: one after each step that runs ahead. */
  #best: Promise<number>[] = [];
  #nSteps = 0;

  /** @param limit Steps ahead at most; 0: none. */
  constructor(
    parts: {
      readonly cache: KvCache;
      readonly compressor: Compressor;
      readonly decoder: Decoder;
    },
    limit: number,
  ) {
    this.#cache = parts.cache;
    this.#compressor = parts.compressor;
    this.#decoder = parts.decoder;
    this.#limit = limit;
  }

  /** Steps in the cache whose tokens were not confirmed yet. */
  get nSteps(): number {
    return this.#nSteps;
  }

  /**
   * The most likely next token.
   * @param nMore Steps that may follow: no more are recorded.
   */
  async best(nMore: number): Promise<number> {
    if (this.#best.length === this.#nSteps) this.#take();
    while (this.#nSteps < Math.min(this.#limit, nMore) && this.#canStep()) {
      this.#decoder.stepBest();
      this.#nSteps++;
      this.#take();
    }
    const next = this.#best.shift();
    return next ?? this.#decoder.best();
  }

  /** Whether the token of the last `best` was read already; it counts as read from now on. */
  confirm(): boolean {
    if (this.#nSteps === 0) return false;
    this.#nSteps--;
    return true;
  }

  /** Forgets the steps that run ahead. */
  takeBack(): void {
    this.#best = [];
    if (this.#nSteps === 0) return;
    this.#cache.truncate(this.#cache.seen - this.#nSteps);
    this.#nSteps = 0;
  }

  #take(): void {
    const token = this.#decoder.best();
    // Who does not ask for it any more need not hear that it failed.
    token.catch(() => {});
    this.#best.push(token);
  }

  /** Whether nothing is to be done between a token and its step. */
  #canStep(): boolean {
    const isPlain = this.#compressor.beginStep() === null;
    return isPlain && this.#decoder.hasRoom && this.#compressor.overflow(1) === null;
  }
}
