// What a command of the command line is, and what it may use of the terminal.
import type { Runtime } from "../src/runtime/runtime.ts";

export interface Command {
  /** The word after `kvasir`. */
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** The whole text of `--help`, with an example. */
  readonly usage: string;
  /**
   * @param args What stands after the command's name.
   * @returns The exit code: 0 done, 1 failed, 2 wrong arguments.
   */
  run(args: string[], io: CommandIo): Promise<number>;
}

export interface CommandIo {
  /** Writes to standard output; lines carry their own "\n". */
  out(text: string): void;
  /** Writes to standard error. */
  err(text: string): void;
  /** Standard output is a terminal. */
  isTty: boolean;
  /** Width of the terminal, characters. */
  columns: number;
  runtime: Runtime;
  /** Fires on Ctrl-C. */
  signal: AbortSignal;
}
