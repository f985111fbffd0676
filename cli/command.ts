import type { Runtime } from "../src/runtime/runtime.ts";

/** One subcommand of `kvasir`. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What `--help` prints, with an example. */
  readonly usage: string;
  /** @returns The exit code. */
  run(args: string[], io: CommandIo): Promise<number>;
}

/** Where a command writes and what it may ask of the platform. */
export interface CommandIo {
  /** Standard output: only what was asked for. */
  out(text: string): void;
  /** Standard error: progress, notes, summaries. */
  err(text: string): void;
  /** Whether `err` goes to a terminal. */
  readonly isTty: boolean;
  /** Width of that terminal, characters. */
  readonly columns: number;
  readonly runtime: Runtime;
  /** Fires on Ctrl-C. */
  readonly signal: AbortSignal;
}
