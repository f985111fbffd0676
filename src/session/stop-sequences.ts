import { KvasirError } from "../errors.ts";

export interface StopSequences {
  /**
   * @param text The next piece of the answer.
   * @returns What can be shown now: never a stop text, nor what may become one. Once `isStopped`,
   *   the answer has ended and nothing more comes.
   */
  push(text: string): { readonly text: string; readonly isStopped: boolean };
  /** What was held back, when the answer ended without a stop text. */
  end(): string;
}

/**
 * Ends an answer before the first stop text that it completes; of those completed by the same
 * character, before the longest. How the answer is cut into pieces makes no difference.
 *
 * @throws {KvasirError} `bad-option` for an empty stop text.
 */
export function createStopSequences(stop: string | readonly string[] = []): StopSequences {
  const stops = typeof stop === "string" ? [stop] : [...stop];
  if (stops.includes("")) {
    throw new KvasirError("bad-option", 'Cannot generate: a stop text must not be empty, got ""');
  }
  let held = "";
  let isStopped = false;
  return {
    push(text) {
      if (isStopped) return { text: "", isStopped };
      held += text;
      const cutAt = findStop(held, stops);
      isStopped = cutAt !== -1;
      const nShown = isStopped ? cutAt : held.length - longestBeginning(held, stops);
      const shown = held.slice(0, nShown);
      held = isStopped ? "" : held.slice(nShown);
      return { text: shown, isStopped };
    },
    end() {
      const rest = held;
      held = "";
      return rest;
    },
  };
}

/** @returns Where the stop text begins that is complete first, -1 without one. */
function findStop(text: string, stops: readonly string[]): number {
  let start = -1;
  let end = Infinity;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at === -1) continue;
    const isFirst = at + stop.length < end || (at + stop.length === end && at < start);
    if (isFirst) [start, end] = [at, at + stop.length];
  }
  return start;
}

/** @returns Length of the longest end of the text that is the beginning of a stop text. */
function longestBeginning(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops) {
    for (let n = Math.min(stop.length - 1, text.length); n > longest; n--) {
      if (text.endsWith(stop.slice(0, n))) longest = n;
    }
  }
  return longest;
}
