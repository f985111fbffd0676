import { formatBar, formatBytes, formatPercent, formatRate } from "./format.ts";
import type { CommandIo } from "./command.ts";

export interface ProgressStep {
  /** Shown in front: "download", "load", "prefill". A new name starts a new bar. */
  readonly phase: string;
  readonly done: number;
  /** undefined where the size is unknown. */
  readonly total: number | undefined;
  readonly unit: "bytes" | "tokens";
}

export interface Progress {
  update(step: ProgressStep): void;
  /** Clears the bar; the next `update` starts afresh. */
  finish(): void;
}

/** A terminal is redrawn at most this often, ms. */
const REDRAW_MS = 80;
/** Without a terminal, one line per this share of the total ... */
const LINE_SHARE = 0.1;
/** ... or, where the total is unknown, per this many bytes or tokens. */
const LINE_AMOUNT = { bytes: 64 * 2 ** 20, tokens: 1024 };

/** Bars in place on a terminal, plain lines elsewhere; both go to `io.err`. */
export function createProgress(
  io: Pick<CommandIo, "err" | "isTty" | "columns">,
  now: () => number = () => performance.now(),
): Progress {
  return io.isTty ? new TerminalProgress(io, now) : new LineProgress(io, now);
}

class Clock {
  #phase: string | undefined;
  #startMs = 0;
  #startDone = 0;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** @returns true at the first step of a phase. */
  enter(step: ProgressStep): boolean {
    if (step.phase === this.#phase) return false;
    this.#phase = step.phase;
    this.#startMs = this.#now();
    this.#startDone = step.done;
    return true;
  }

  /** Units per second since the phase began; 0 while nothing can be said. */
  rate(done: number): number {
    const seconds = (this.#now() - this.#startMs) / 1000;
    return seconds > 0 ? (done - this.#startDone) / seconds : 0;
  }

  leave(): void {
    this.#phase = undefined;
  }
}

function amounts(step: ProgressStep, rate: number): string {
  const show = (value: number): string =>
    step.unit === "bytes" ? formatBytes(value) : `${Math.round(value)}`;
  const total = step.total === undefined ? "" : ` of ${show(step.total)}`;
  const speed =
    rate > 0 ? `, ${step.unit === "bytes" ? formatBytes(rate) : `${formatRate(rate)} tok`}/s` : "";
  return `${show(step.done)}${total}${step.unit === "tokens" ? " tokens" : ""}${speed}`;
}

function fractionOf(step: ProgressStep): number | undefined {
  if (step.total === undefined) return undefined;
  return step.total > 0 ? Math.min(1, step.done / step.total) : 1;
}

class TerminalProgress implements Progress {
  readonly #io: Pick<CommandIo, "err" | "columns">;
  readonly #now: () => number;
  readonly #clock: Clock;
  #isDrawn = false;
  #drawnMs = -Infinity;

  constructor(io: Pick<CommandIo, "err" | "columns">, now: () => number) {
    this.#io = io;
    this.#now = now;
    this.#clock = new Clock(now);
  }

  update(step: ProgressStep): void {
    const isFirst = this.#clock.enter(step);
    const isLast = step.total !== undefined && step.done >= step.total;
    const ms = this.#now();
    if (!isFirst && !isLast && ms - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = ms;
    this.#isDrawn = true;
    this.#io.err(`\r${this.#line(step)}\x1b[K`);
  }

  finish(): void {
    if (this.#isDrawn) this.#io.err("\r\x1b[K");
    this.#isDrawn = false;
    this.#drawnMs = -Infinity;
    this.#clock.leave();
  }

  #line(step: ProgressStep): string {
    const fraction = fractionOf(step);
    const head = step.phase.padEnd(8);
    const tail = amounts(step, this.#clock.rate(step.done));
    const percent = fraction === undefined ? "" : formatPercent(fraction).padStart(5);
    // The last column stays free: a full line makes some terminals wrap.
    const room = this.#io.columns - 1 - head.length - percent.length - tail.length - 6;
    const bar =
      fraction === undefined || room < 8 ? "" : formatBar(fraction, Math.min(30, room), true);
    const line = [head, bar, percent, tail].filter((part) => part !== "").join("  ");
    return line.slice(0, Math.max(0, this.#io.columns - 1));
  }
}

class LineProgress implements Progress {
  readonly #io: Pick<CommandIo, "err">;
  readonly #clock: Clock;
  /** Steps of `LINE_SHARE` or `LINE_AMOUNT` already told. */
  #told = 0;

  constructor(io: Pick<CommandIo, "err">, now: () => number) {
    this.#io = io;
    this.#clock = new Clock(now);
  }

  update(step: ProgressStep): void {
    if (this.#clock.enter(step)) this.#told = 0;
    const fraction = fractionOf(step);
    const reached = Math.floor(
      fraction === undefined ? step.done / LINE_AMOUNT[step.unit] : fraction / LINE_SHARE + 1e-9, // 0.3 / 0.1 is just below 3
    );
    if (reached <= this.#told) return;
    this.#told = reached;
    const percent = fraction === undefined ? "" : `${formatPercent(fraction)}, `;
    this.#io.err(`${step.phase}: ${percent}${amounts(step, this.#clock.rate(step.done))}\n`);
  }

  finish(): void {
    this.#told = 0;
    this.#clock.leave();
  }
}
