import { KvasirError } from "../src/errors.ts";
import type { ChatMessage } from "../src/tokenizer/tokenizer.ts";
import type { Model, Session } from "../src/types.ts";
import type { Command, CommandIo } from "./command.ts";
import { errorLine } from "./errors.ts";
import {
  ANSWER_OPTIONS,
  checkModelOptions,
  generateOptions,
  type Load,
  loadModel,
  MODEL_OPTIONS,
  sessionOptions,
} from "./model-options.ts";
import {
  parseOptions,
  suggest,
  usageText,
  type OptionSpecs,
  type OptionValues,
} from "./options.ts";
import { createProgress, type Progress } from "./progress.ts";
import { cacheText } from "./summary.ts";

/** The lines of a conversation, from a terminal or a pipe. */
export interface LineInput {
  /** Asks for the next line; undefined at the end of the input. */
  next(prompt: string): Promise<string | undefined>;
  /** Ctrl-C while the input owns the keyboard. */
  onInterrupt(listener: () => void): void;
  close(): void;
}

const OPTIONS = {
  ...MODEL_OPTIONS,
  system: { type: "text", short: "s", value: "TEXT", help: "System message" },
  ...ANSWER_OPTIONS,
} as const satisfies OptionSpecs;

const COMMANDS = ["/help", "/usage", "/reset", "/quit"];
const HELP = `/usage  memory and rows of the cache
/reset  forget the conversation
/quit   leave (also Ctrl-D, or Ctrl-C twice)
Ctrl-C  stops the answer
`;

/** `kvasir chat`: a conversation; answers go to standard output, all else to standard error. */
export function chatCommand(load: Load, openInput: () => LineInput): Command {
  return {
    name: "chat",
    summary: "Talk with a model",
    usage: usageText(
      "kvasir chat --model FILE [options]",
      "Reads one message a line, from the terminal or a pipe. /help lists the commands.",
      OPTIONS,
      ['kvasir chat -m model.gguf --system "Be brief." --method snapkv --tokens 512'],
    ),
    run: async (args, io) => {
      const values = parseOptions(OPTIONS, args);
      const method = await checkModelOptions(values);
      const progress = createProgress(io);
      const model = await loadModel(load, values, io, progress);
      const input = openInput();
      try {
        if (model.chatTemplate === null) {
          throw new KvasirError(
            "unsupported-option",
            "Cannot chat: the model has no chat template; use kvasir run --raw",
          );
        }
        const session = model.session(sessionOptions(values, method));
        await new Conversation(model, session, values, io, progress, input).run();
      } finally {
        input.close();
        progress.finish();
        model.dispose();
      }
      return 0;
    },
  };
}

class Conversation {
  readonly #model: Model;
  readonly #values: OptionValues<typeof OPTIONS>;
  readonly #io: CommandIo;
  readonly #progress: Progress;
  readonly #input: LineInput;
  readonly #session: Session;
  #messages: ChatMessage[] = [];
  /** Set while an answer is being written. */
  #answer: AbortController | undefined;
  /** Resolves a wait at the prompt when Ctrl-C came twice. */
  #leave: () => void = () => undefined;
  #nInterrupts = 0;

  constructor(
    model: Model,
    session: Session,
    values: OptionValues<typeof OPTIONS>,
    io: CommandIo,
    progress: Progress,
    input: LineInput,
  ) {
    this.#model = model;
    this.#values = values;
    this.#io = io;
    this.#progress = progress;
    this.#input = input;
    this.#session = session;
    this.#forget();
  }

  async run(): Promise<void> {
    const left = new Promise<undefined>((resolve) => {
      this.#leave = () => resolve(undefined);
    });
    const onAbort = (): void => {
      this.#answer?.abort(this.#io.signal.reason);
      this.#leave();
    };
    this.#io.signal.addEventListener("abort", onAbort, { once: true });
    this.#input.onInterrupt(() => this.#interrupt());
    try {
      while (!this.#io.signal.aborted) {
        const line = await Promise.race([this.#input.next("> "), left]);
        if (line === undefined) break;
        this.#nInterrupts = 0;
        const text = line.trim();
        if (text.startsWith("/")) {
          if (!this.#obey(text)) break;
        } else if (text !== "") await this.#reply(text);
      }
    } finally {
      this.#io.signal.removeEventListener("abort", onAbort);
    }
    if (this.#io.isTty) this.#io.err("\n");
  }

  #interrupt(): void {
    if (this.#answer !== undefined) {
      this.#answer.abort(new Error("stopped at the keyboard"));
      return;
    }
    this.#nInterrupts++;
    if (this.#nInterrupts >= 2) this.#leave();
    else this.#io.err("\n(Ctrl-C again leaves)\n> ");
  }

  /** @returns false to leave. */
  #obey(command: string): boolean {
    switch (command) {
      case "/quit":
      case "/exit":
        return false;
      case "/reset":
        this.#session.reset();
        this.#forget();
        this.#io.err("The conversation is forgotten.\n");
        return true;
      case "/usage":
        this.#io.err(cacheText(this.#session.usage(), this.#io));
        return true;
      case "/help":
        this.#io.err(HELP);
        return true;
      default: {
        const nearest = suggest(command, COMMANDS);
        const hint =
          nearest === undefined ? "/help lists the commands" : `did you mean ${nearest}?`;
        this.#io.err(`Unknown command ${command}; ${hint}\n`);
        return true;
      }
    }
  }

  #forget(): void {
    const { system } = this.#values;
    this.#messages = system === undefined ? [] : [{ role: "system", content: system }];
  }

  async #reply(text: string): Promise<void> {
    this.#answer = new AbortController();
    const asked: ChatMessage[] = [...this.#messages, { role: "user", content: text }];
    let answer = "";
    try {
      const options = generateOptions(this.#values, this.#answer.signal);
      // The whole conversation is given each time; the session reads only what is new to it.
      for await (const event of this.#session.generate(asked, options)) {
        if (event.type === "prefill") this.#showPrefill(event.done, event.total);
        else if (event.type === "token") {
          if (answer === "") this.#progress.finish();
          answer += event.text;
          this.#io.out(event.text);
        } else if (event.type === "done") {
          if (event.text.startsWith(answer)) this.#io.out(event.text.slice(answer.length));
          answer = event.text;
        }
      }
      this.#messages = [...asked, { role: "assistant", content: answer }];
    } catch (error) {
      this.#progress.finish();
      if (!(error instanceof KvasirError) || error.code === "device-lost") throw error;
      // What was said stays in the session's memory.
      if (answer !== "" || error.code === "aborted") {
        this.#messages = [...asked, { role: "assistant", content: answer }];
      }
      if (error.code !== "aborted") {
        if (answer !== "") this.#io.out("\n");
        this.#io.err(errorLine(error));
        return;
      }
    } finally {
      this.#answer = undefined;
      this.#progress.finish();
    }
    this.#io.out("\n");
  }

  /** `done` and `total` count tokens x layers. */
  #showPrefill(done: number, total: number): void {
    const { nLayers } = this.#model.config;
    const step = { done: done / nLayers, total: total / nLayers, unit: "tokens" as const };
    // A short question is read before a bar could be seen; a pipe gets no lines for each turn.
    if (this.#io.isTty && step.total > 64) this.#progress.update({ phase: "prefill", ...step });
  }
}
