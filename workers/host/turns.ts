// Who computes next, where several sessions share one thread: first come, first served, one step each.

/** A step is one chunk of a prompt or one token of an answer. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `step` after those that asked before. */
  take<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(step);
    this.#last = turn.catch(() => {});
    return turn;
  }
}
