// A sequence that outlives its engine. Where a device goes away in the middle of an answer, the model
// is loaded again on another one, and what was done to the sequence is done again there: the same
// rows are dropped, the same tokens follow.
import type { Segment } from "../compression/segments.ts";
import { KvasirError } from "../errors.ts";
import type { Transformer } from "../model/transformer.ts";
import type { Sampler } from "../sampler/sampler.ts";
import { type SavedSequence, Sequence, type SequenceParts } from "../sequence.ts";
import type { ResolvedSession } from "./session-options.ts";
import type { ReadEvent } from "../types.ts";

/** Devices that may go away before one thing is done. */
const MAX_RENEWALS = 3;

export interface LastingParts extends SequenceParts {
  /**
   * The model on another engine, now that the one of `lost` went away; absent where engines stay.
   * @throws {KvasirError} What loading throws.
   */
  readonly renew?: ((lost: Transformer) => Promise<Transformer>) | undefined;
}

/** What was done to a sequence, to do it again. */
type Deed =
  | { readonly kind: "read"; readonly own: Uint32Array; readonly segments: readonly Segment[] }
  | { readonly kind: "show"; readonly token: number | undefined }
  | { readonly kind: "step"; readonly token: number };

export class LastingSequence {
  readonly #options: ResolvedSession;
  #parts: LastingParts;
  #current: Sequence;
  /** What it began with; undefined: nothing. */
  #base: SavedSequence | undefined;
  /** Since then; null where that cannot be told. */
  #deeds: Deed[] | null = [];

  /**
   * @param saved Where it goes on from; `current` holds it already.
   * @throws {KvasirError} `bad-option`, `unsupported-option`: what cannot work for any prompt.
   */
  constructor(
    parts: LastingParts,
    options: ResolvedSession,
    current = new Sequence(parts, options),
    saved?: SavedSequence,
  ) {
    this.#parts = parts;
    this.#options = options;
    this.#current = current;
    this.#base = parts.renew === undefined ? undefined : saved;
  }

  /** As it is now: ask it, and change it through this object. */
  get current(): Sequence {
    return this.#current;
  }

  /** As `Sequence.read`. */
  async *read(
    own: Uint32Array,
    segments: readonly Segment[],
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ReadEvent> {
    yield* this.#again(() => this.#current.read(own, segments, signal));
    this.#note({ kind: "read", own: own.slice(), segments });
  }

  /** As `Sequence.best`. */
  best(nMore: number): Promise<number> {
    return this.#persist(() => this.#current.best(nMore));
  }

  /** As `Sequence.draw`. */
  draw(sampler: Sampler, nMore: number): Promise<number> {
    return this.#persist(() => this.#current.draw(sampler, nMore));
  }

  /** As `Decoder.logits`. */
  logits(): Promise<Float32Array> {
    return this.#persist(() => this.#current.decoder.logits());
  }

  /** As `Sequence.save`. */
  save(): Promise<SavedSequence> {
    return this.#persist(() => this.#current.save());
  }

  /** As `Sequence.show`. */
  show(token: number | undefined): void {
    this.#current.show(token);
    this.#note({ kind: "show", token });
  }

  /** As `Sequence.makeRoom` for one token and `Sequence.step`. */
  async *step(token: number, signal: AbortSignal | undefined): AsyncGenerator<ReadEvent> {
    yield* this.#again(() => step(this.#current, token, signal));
    this.#note({ kind: "step", token });
  }

  /** As `Sequence.fork`. */
  fork(): LastingSequence {
    const fork = new LastingSequence(this.#parts, this.#options, this.#current.fork(), this.#base);
    fork.#deeds = this.#deeds?.slice() ?? null;
    return fork;
  }

  reset(): void {
    this.#current.reset();
    this.#base = undefined;
    this.#deeds = [];
  }

  dispose(): void {
    this.#current.dispose();
  }

  #note(deed: Deed): void {
    if (this.#parts.renew !== undefined) this.#deeds?.push(deed);
  }

  async #persist<T>(act: () => Promise<T>): Promise<T> {
    for (let n = 1; ; n++) {
      try {
        return await act();
      } catch (error) {
        await this.#renew(error, n);
      }
    }
  }

  async *#again(act: () => AsyncGenerator<ReadEvent>): AsyncGenerator<ReadEvent> {
    for (let n = 1; ; n++) {
      const { position } = this.#current;
      try {
        yield* act();
        return;
      } catch (error) {
        // Tokens that were read are read again with the next prompt: no deed says so.
        if (!isLost(error) && this.#current.position !== position) this.#deeds = null;
        await this.#renew(error, n);
      }
    }
  }

  /** @throws `error` itself, unless its engine went away and there is another one. */
  async #renew(error: unknown, n: number): Promise<void> {
    const { renew } = this.#parts;
    const deeds = this.#deeds;
    if (!isLost(error) || renew === undefined || deeds === null || n > MAX_RENEWALS) throw error;
    const transformer = await renew(this.#parts.transformer);
    this.#parts = { ...this.#parts, transformer };
    const next = new Sequence(this.#parts, this.#options);
    try {
      if (this.#base !== undefined) next.restore(this.#base);
      for (const deed of deeds) await repeat(next, deed);
    } catch (again) {
      next.dispose();
      return this.#renew(again, n + 1);
    }
    this.#current.dispose();
    this.#current = next;
  }
}

async function* step(
  sequence: Sequence,
  token: number,
  signal?: AbortSignal,
): AsyncGenerator<ReadEvent> {
  yield* sequence.makeRoom(1, signal);
  yield* sequence.step(token);
}

async function repeat(sequence: Sequence, deed: Deed): Promise<void> {
  if (deed.kind === "show") {
    sequence.show(deed.token);
    return;
  }
  const events =
    deed.kind === "step"
      ? step(sequence, deed.token)
      : sequence.read(deed.own, deed.segments, undefined);
  for await (const event of events) void event;
}

function isLost(error: unknown): boolean {
  return error instanceof KvasirError && error.code === "device-lost";
}
