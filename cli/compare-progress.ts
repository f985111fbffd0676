// How far a comparison is and how long it will take, by what the runs so far took.
import type { CommandIo } from "./command.ts";
import { formatBar, formatMs } from "./format.ts";

const REDRAW_MS = 100;
const BAR_WIDTH = 16;

export class CompareProgress {
  readonly #io: Pick<CommandIo, "err" | "isTty" | "columns">;
  readonly #nRuns: number;
  readonly #now: () => number;
  readonly #startMs: number;
  #nDone = 0;
  #label = "";
  #runMs = 0;
  #drawnMs = -Infinity;
  #isDrawn = false;

  constructor(
    io: Pick<CommandIo, "err" | "isTty" | "columns">,
    nRuns: number,
    now: () => number = () => performance.now(),
  ) {
    this.#io = io;
    this.#nRuns = nRuns;
    this.#now = now;
    this.#startMs = now();
  }

  begin(label: string): void {
    this.#label = label;
    this.#runMs = this.#now();
    this.#drawnMs = -Infinity;
    this.update(0);
  }

  /** @param share Of the prompt of the run at hand. */
  update(share: number): void {
    if (!this.#io.isTty || this.#now() - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = this.#now();
    this.#isDrawn = true;
    const bar = formatBar((this.#nDone + share) / this.#nRuns, BAR_WIDTH, true);
    const line = `${bar}  run ${this.#nDone + 1} of ${this.#nRuns}: ${this.#label}${this.#left(share)}`;
    this.#io.err(`\r${line.slice(0, this.#io.columns - 1)}\x1b[K`);
  }

  end(): void {
    this.#nDone++;
    if (this.#io.isTty) return;
    const took = formatMs(this.#now() - this.#runMs);
    const number = `${this.#nDone} of ${this.#nRuns}`;
    this.#io.err(`compare: ${number}, ${this.#label}: ${took}${this.#left(0)}\n`);
  }

  finish(): void {
    if (this.#isDrawn) this.#io.err("\r\x1b[K");
    this.#isDrawn = false;
  }

  /** Nothing before a run is done: methods differ, but not by orders of magnitude. */
  #left(share: number): string {
    const nLeft = this.#nRuns - this.#nDone - share;
    if (this.#nDone === 0 || nLeft <= 0) return "";
    const perRun = (this.#now() - this.#startMs) / (this.#nDone + share);
    return `, about ${timeText(perRun * nLeft)} left`;
  }
}

function timeText(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  return `${Math.round(seconds / 60)} min`;
}
