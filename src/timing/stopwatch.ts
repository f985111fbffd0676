import type { SessionUsage } from "../types.ts";

/** Times one answer: prompt, first token, the tokens after it. */
export class Stopwatch {
  #started = 0;
  #nPrompt = 0;
  #prefillMs = 0;
  #firstMs = 0;
  #lastMs = 0;
  #nTokens = 0;

  start(nPrompt: number): void {
    this.#started = performance.now();
    this.#nPrompt = nPrompt;
    this.#prefillMs = 0;
    this.#firstMs = 0;
    this.#lastMs = 0;
    this.#nTokens = 0;
  }

  /** The prompt is read and compressed. */
  prefilled(): void {
    this.#prefillMs = performance.now() - this.#started;
  }

  /** A token was chosen. */
  token(): void {
    this.#lastMs = performance.now() - this.#started;
    if (this.#nTokens === 0) this.#firstMs = this.#lastMs;
    this.#nTokens++;
  }

  timing(): SessionUsage["timing"] {
    const decodeMs = this.#lastMs - this.#firstMs;
    return {
      timeToFirstTokenMs: this.#firstMs,
      prefillMs: this.#prefillMs,
      prefillTokensPerSecond: this.#prefillMs > 0 ? (1000 * this.#nPrompt) / this.#prefillMs : 0,
      // The first token is the prompt's doing.
      decodeTokensPerSecond: decodeMs > 0 ? (1000 * (this.#nTokens - 1)) / decodeMs : 0,
    };
  }
}
