// Counts what a GPU is asked to start for each step of a decode, by listening to the model: steps are
// recorded ahead of their tokens, so counts of a whole answer would hold steps that nobody needed.
import type { LocalModel } from "../../src/session/local-model.ts";
import { median } from "../statistics.ts";
import { shadow } from "./shadow.ts";

export class DispatchCount {
  /** Of steps of one token, in a row. */
  readonly #steps: number[] = [];
  #before: number | null = null;
  readonly #undo: () => void;

  constructor({ parts: { transformer } }: LocalModel) {
    const { engine } = transformer;
    // A step begins with its embedding.
    this.#undo = shadow(transformer, "embed", (original) => (...values) => {
      const now = engine.nDispatches ?? NaN;
      if (this.#before !== null) this.#steps.push(now - this.#before);
      this.#before = values[2] === 1 ? now : null;
      return original(...values);
    });
  }

  /** NaN where no two steps followed each other, or the engine does not count. */
  get perStep(): number {
    return median(this.#steps);
  }

  stop(): void {
    this.#undo();
  }
}
