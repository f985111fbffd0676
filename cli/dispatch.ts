import { KvasirError } from "../src/errors.ts";
import type { Command, CommandIo } from "./command.ts";
import { errorLine } from "./errors.ts";
import { suggest, UsageError } from "./options.ts";

/** A command by name, opened when it is asked for, so that `--help` loads no model code. */
export interface CommandEntry {
  readonly summary: string;
  open(): Promise<Command>;
}

export type CommandTable = Readonly<Record<string, CommandEntry>>;

export interface DispatchOptions {
  readonly version: string;
  /** Print stack traces. */
  readonly isDebug: boolean;
}

/** Exit codes: 0 done, 1 failed, 2 called wrongly, 130 stopped by Ctrl-C. */
export async function dispatch(
  args: readonly string[],
  io: CommandIo,
  commands: CommandTable,
  options: DispatchOptions,
): Promise<number> {
  const [first, ...rest] = args;
  try {
    if (first === undefined) {
      io.err(overview(commands));
      return 2;
    }
    if (first === "--version" || first === "-v") {
      io.out(`${options.version}\n`);
      return 0;
    }
    if (first === "--help" || first === "-h" || first === "help") {
      const topic = rest[0];
      io.out(topic === undefined ? overview(commands) : (await open(topic, commands)).usage);
      return 0;
    }
    const command = await open(first, commands);
    if (asksForHelp(rest)) {
      io.out(command.usage);
      return 0;
    }
    return await command.run(rest, io);
  } catch (error) {
    return report(
      error,
      Object.hasOwn(commands, first ?? "") ? first : undefined,
      io,
      options.isDebug,
    );
  }
}

/** Whether `--help` stands among the options, before any `--`. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  const options = end < 0 ? args : args.slice(0, end);
  return options.includes("--help") || options[0] === "-h";
}

function open(name: string, commands: CommandTable): Promise<Command> {
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry !== undefined) return entry.open();
  const kind = name.startsWith("-") ? "option" : "command";
  const nearest = suggest(name, Object.keys(commands));
  const hint = nearest === undefined ? "" : `; did you mean "${nearest}"?`;
  throw new UsageError(`Unknown ${kind} "${name}"${hint}`);
}

/** @param name The command, undefined where there is no such one. */
function report(error: unknown, name: string | undefined, io: CommandIo, isDebug: boolean): number {
  if (error instanceof UsageError) {
    io.err(errorLine(error));
    io.err(`Try: kvasir ${name === undefined ? "" : `${name} `}--help\n`);
    return 2;
  }
  if (io.signal.aborted && error instanceof KvasirError && error.code === "aborted") {
    io.err("\n");
    return 130;
  }
  io.err(errorLine(error));
  if (isDebug && error instanceof Error) io.err(`${stackOf(error)}\n`);
  return 1;
}

function stackOf(error: Error): string {
  const stack = error.stack ?? error.message;
  return error.cause instanceof Error ? `${stack}\nCaused by: ${stackOf(error.cause)}` : stack;
}

function overview(commands: CommandTable): string {
  const names = Object.keys(commands);
  const width = Math.max(...names.map((name) => name.length));
  return [
    "kvasir: language models with a KV cache that is a fraction of the usual size",
    "",
    "Usage: kvasir COMMAND [options]",
    "",
    "Commands:",
    ...names.map((name) => `  ${name.padEnd(width)}  ${commands[name]?.summary ?? ""}`),
    "",
    "kvasir COMMAND --help tells the options of a command; kvasir --version the version.",
    "",
    "Example:",
    '  kvasir run --model model.gguf --prompt "What is a raven?"',
    "",
  ].join("\n");
}
