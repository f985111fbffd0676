// Decode that does not wait for its tokens: where ops compute later, the next steps are recorded from
// the token on the device, and what was read too far is taken back. Used by sequence.ts. The tokens are
// the same with and without.
import type { KvCache } from "./cache/kv-cache.ts";
import type { Compressor } from "./compressor.ts";
import type { Decoder } from "./decode.ts";
import type { Drawn, DrawRule } from "./sampler/draw-rule.ts";
import type { Sampler } from "./sampler/sampler.ts";

/** How tokens are chosen where they are computed. */
interface Chooser<Choice> {
  /** Records the choice by the logits at hand, the `n`-th from the one that is asked for. */
  readonly choose: (n: number) => Promise<Choice>;
  /** Records the step of the token that was chosen last. */
  readonly step: () => void;
}

export class ReadAhead {
  readonly #cache: KvCache;
  readonly #compressor: Compressor;
  readonly #decoder: Decoder;
  readonly #limit: number;
  /** The choices that are being read, oldest first: one after each step that runs ahead. */
  #choices: Promise<unknown>[] = [];
  #nSteps = 0;
  #hasBegun = false;

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
   * The most likely next token. The first since `takeBack` comes as soon as it is there: whoever waits
   * for an answer to begin does not wait for the next step to be recorded.
   * @param nMore Steps that may follow: no more are recorded.
   */
  best(nMore: number): Promise<number> {
    const choose = (): Promise<number> => this.#decoder.best();
    return this.#next({ choose, step: () => this.#decoder.stepBest() }, nMore);
  }

  /**
   * The token that `sampler` chooses, drawn where the logits are. Where that was another one, the steps
   * that run ahead are taken back.
   * @param rule The sampler's.
   * @param nMore As in `best`.
   */
  async draw(sampler: Sampler, rule: DrawRule, nMore: number): Promise<number> {
    const decoder = this.#decoder;
    decoder.keepLogits(this.#limit + 1);
    const choose = (n: number): Promise<Drawn> => decoder.draw(rule, sampler.fraction(n));
    const drawn = await this.#next({ choose, step: () => decoder.stepDrawn() }, nMore);
    const token =
      sampler.confirm(drawn, rule) ?? sampler.sample(await decoder.logits(this.#nSteps), []);
    if (token !== drawn.token) this.takeBack();
    return token;
  }

  /** Whether the token of the last choice was read already; it counts as read from now on. */
  confirm(): boolean {
    if (this.#nSteps === 0) return false;
    this.#nSteps--;
    return true;
  }

  /** Forgets the steps that run ahead. */
  takeBack(): void {
    this.#choices = [];
    this.#hasBegun = false;
    if (this.#nSteps === 0) return;
    this.#cache.truncate(this.#cache.seen - this.#nSteps);
    this.#nSteps = 0;
  }

  /** All choices between two calls of `takeBack` are of one kind. */
  async #next<Choice>(chooser: Chooser<Choice>, nMore: number): Promise<Choice> {
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      return chooser.choose(0);
    }
    if (this.#choices.length === this.#nSteps) this.#take(chooser);
    while (this.#nSteps < Math.min(this.#limit, nMore) && this.#canStep()) {
      chooser.step();
      this.#nSteps++;
      this.#take(chooser);
    }
    return (this.#choices.shift() as Promise<Choice> | undefined) ?? chooser.choose(0);
  }

  #take<Choice>({ choose }: Chooser<Choice>): void {
    const choice = choose(this.#choices.length);
    // Who does not ask for it any more need not hear that it failed.
    choice.catch(() => {});
    this.#choices.push(choice);
  }

  /** Whether nothing is to be done between a token and its step. */
  #canStep(): boolean {
    const isPlain = this.#compressor.beginStep() === null;
    return isPlain && this.#decoder.hasRoom && this.#compressor.overflow(1) === null;
  }
}
