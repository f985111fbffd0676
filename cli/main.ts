#!/usr/bin/env node
import { readFileSync } from "node:fs";
import type { CommandIo } from "./command.ts";
import { dispatch, type CommandTable } from "./dispatch.ts";
import type { Load } from "./model-options.ts";

const load: Load = async (source, options) =>
  (await import("../src/entry/node.ts")).load(source, options);

const COMMANDS: CommandTable = {
  run: {
    summary: "Answer one prompt",
    open: async () => (await import("./run.ts")).runCommand(load),
  },
  press: {
    summary: "Read and compress a text for questions that come later",
    open: async () => (await import("./press.ts")).pressCommand(load),
  },
  chat: {
    summary: "Talk with a model",
    open: async () => {
      const { chatCommand } = await import("./chat.ts");
      const { openLineInput } = await import("./line-input.ts");
      return chatCommand(load, () => openLineInput(process.stdin, process.stderr));
    },
  },
  inspect: {
    summary: "Show what a GGUF file holds",
    open: async () => (await import("./inspect.ts")).inspectCommand,
  },
  methods: {
    summary: "List the compression methods",
    open: async () => (await import("./methods.ts")).methodsCommand,
  },
  compare: {
    summary: "Compare compression methods on a text",
    open: async () => (await import("./compare.ts")).compareCommand(load),
  },
  doctor: {
    summary: "Show what this machine offers",
    open: async () => {
      const { arch, cpus, platform, totalmem } = await import("node:os");
      const { formatBytes } = await import("./format.ts");
      const { doctorCommand } = await import("./doctor.ts");
      return doctorCommand({
        node: process.versions.node,
        system: `${platform()} ${arch()}`,
        processor: cpus()[0]?.model ?? "unknown",
        memory: formatBytes(totalmem()),
      });
    },
  },
  parity: {
    summary: "Check against a folder of golden data",
    open: async () => {
      const { parityCommand } = await import("./parity.ts");
      return parityCommand(async (runtime) =>
        (await import("../src/parity/open-model.ts")).createParityHost(runtime),
      );
    },
  },
};

/** The nearest package.json upwards: this file runs from the sources and from dist/. */
function readVersion(): string {
  for (const path of ["../package.json", "../../package.json"]) {
    try {
      const { name, version } = JSON.parse(
        readFileSync(new URL(path, import.meta.url), "utf8"),
      ) as {
        name?: string;
        version?: string;
      };
      if (name === "kvasir" && version !== undefined) return version;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return "unknown";
}

/** A reader that went away (`kvasir run ... | head -1`) ends the program without a complaint. */
function leaveOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(0);
      throw error;
    });
  }
}

/** The first Ctrl-C asks the command to stop, the second ends the program. */
function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  process.on("SIGINT", () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(new Error("interrupted"));
  });
  return controller.signal;
}

function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write("", () => resolve());
  });
}

async function main(): Promise<void> {
  leaveOnClosedPipe();
  const { nodeRuntime } = await import("../src/runtime/node.ts");
  const io: CommandIo = {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    isTty: process.stderr.isTTY === true,
    columns: process.stderr.columns || 80, // 0 where the terminal does not say
    runtime: nodeRuntime,
    signal: interruptSignal(),
  };
  const code = await dispatch(process.argv.slice(2), io, COMMANDS, {
    version: readVersion(),
    isDebug: (process.env["KVASIR_DEBUG"] ?? "") !== "",
  });
  await Promise.all([flush(process.stdout), flush(process.stderr)]);
  // Worker threads and an open standard input would keep the process alive.
  process.exit(code);
}

await main();
