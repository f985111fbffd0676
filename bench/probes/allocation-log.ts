// What the engine's memory is taken by at its peak: rows of caches, and what operations pass on to each
// other. Counted by listening to the engine's own allocations, since its peak is one number.
import type { Engine, EngineBuffer } from "../../src/engine/engine.ts";
import { shadow } from "./shadow.ts";

/** Bytes, without weights. */
export interface AllocationPeak {
  /** At the moment when the engine's callers hold the most. */
  readonly cacheBytes: number;
  /** Beside them: activations, signals, room of a step. */
  readonly activationBytes: number;
  /** The most that the platform gave beyond what callers hold: scratch, staging, what waits to go. */
  readonly ownBytes: number;
}

export class AllocationLog {
  readonly #engine: Engine;
  readonly #held = new Map<EngineBuffer, number>();
  #cacheBytes = 0;
  #otherBytes = 0;
  #peak: AllocationPeak = { cacheBytes: 0, activationBytes: 0, ownBytes: 0 };
  readonly #undo: readonly (() => void)[];

  /** What was allocated before is not counted. */
  constructor(engine: Engine) {
    this.#engine = engine;
    this.#undo = [
      shadow(engine, "alloc", (original) => (...values) => {
        const buffer = original(...values) as EngineBuffer;
        this.#count(buffer, buffer.byteLength);
        this.#held.set(buffer, buffer.byteLength);
        this.#look();
        return buffer;
      }),
      shadow(engine, "free", (original) => (...values) => {
        this.#look();
        const buffer = values[0] as EngineBuffer;
        this.#count(buffer, -(this.#held.get(buffer) ?? 0));
        this.#held.delete(buffer);
        return original(...values);
      }),
    ];
  }

  get peak(): AllocationPeak {
    return this.#peak;
  }

  stop(): void {
    this.#look();
    for (const undo of this.#undo) undo();
  }

  #count(buffer: EngineBuffer, byteLength: number): void {
    if (buffer.label.startsWith("cache.")) this.#cacheBytes += byteLength;
    else this.#otherBytes += byteLength;
  }

  #look(): void {
    const { bytes, reservedBytes } = this.#engine.memory();
    const { cacheBytes, activationBytes, ownBytes } = this.#peak;
    const isPeak = this.#cacheBytes + this.#otherBytes > cacheBytes + activationBytes;
    this.#peak = {
      cacheBytes: isPeak ? this.#cacheBytes : cacheBytes,
      activationBytes: isPeak ? this.#otherBytes : activationBytes,
      ownBytes: Math.max(ownBytes, reservedBytes - bytes),
    };
  }
}
