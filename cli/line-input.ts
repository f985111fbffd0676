import { createInterface } from "node:readline";
import type { LineInput } from "./chat.ts";

/** Lines of standard input, with editing and history where that is a terminal. */
export function openLineInput(input: NodeJS.ReadStream, output: NodeJS.WriteStream): LineInput {
  const isTerminal = input.isTTY === true;
  const reader = createInterface({ input, output, terminal: isTerminal, historySize: 200 });
  const lines: string[] = [];
  let waiting: ((line: string | undefined) => void) | undefined;
  let isClosed = false;

  // A pipe delivers all its lines at once, while the first answer is still being written.
  reader.on("line", (line) => {
    const resolve = waiting;
    waiting = undefined;
    if (resolve) resolve(line);
    else lines.push(line);
  });
  reader.on("close", () => {
    isClosed = true;
    waiting?.(undefined);
    waiting = undefined;
  });

  return {
    next: (prompt) => {
      const line = lines.shift();
      if (line !== undefined) return Promise.resolve(line);
      if (isClosed) return Promise.resolve(undefined);
      if (isTerminal) {
        reader.setPrompt(prompt);
        reader.prompt();
      }
      return new Promise((resolve) => {
        waiting = resolve;
      });
    },
    onInterrupt: (listener) => {
      reader.on("SIGINT", listener);
    },
    close: () => {
      isClosed = true;
      reader.close();
    },
  };
}
