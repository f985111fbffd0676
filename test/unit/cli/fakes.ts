// A model and a terminal for the commands: the model answers from a script.
import type { CommandIo } from "../../../cli/command.ts";
import type { LineInput } from "../../../cli/chat.ts";
import type { Load } from "../../../cli/model-options.ts";
import { KvasirError } from "../../../src/errors.ts";
import type { ModelConfig } from "../../../src/model/config.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import type { ChatTemplate, Tokenizer } from "../../../src/tokenizer/tokenizer.ts";
import type {
  GenerateEvent,
  GenerateInput,
  GenerateOptions,
  LoadOptions,
  Model,
  Session,
  SessionOptions,
  SessionUsage,
} from "../../../src/types.ts";

export interface FakeIo extends CommandIo {
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly controller: AbortController;
}

export function fakeIo(options: { isTty?: boolean; columns?: number } = {}): FakeIo {
  let stdout = "";
  let stderr = "";
  const controller = new AbortController();
  return {
    out: (text) => {
      stdout += text;
    },
    err: (text) => {
      stderr += text;
    },
    isTty: options.isTty ?? false,
    columns: options.columns ?? 80,
    runtime: { name: "other" } as Runtime,
    signal: controller.signal,
    controller,
    stdout: () => stdout,
    stderr: () => stderr,
  };
}

export const USAGE: SessionUsage = {
  tokens: { prompt: 989, completion: 3 },
  position: 992,
  cache: {
    fullBytes: 24 * 2 ** 20,
    bytes: 6 * 2 ** 20,
    peakBytes: 7 * 2 ** 20,
    keptRows: 5910,
    fullRows: 29_670,
    perLayer: [{ bytes: 6 * 2 ** 20, rows: [197, 197, 197] }],
  },
  compression: { reason: "prompt", overflowRows: 0, keptMass: [0.9, 0.8], notes: [] },
  timing: {
    timeToFirstTokenMs: 1420,
    prefillMs: 1400,
    prefillTokensPerSecond: 706.4,
    decodeTokensPerSecond: 31.5,
  },
};

export interface FakeModelOptions {
  readonly contextLength?: number;
  readonly chatTemplate?: ChatTemplate | null;
  /** The answer's pieces for each call of `generate`. */
  readonly answers?: readonly (readonly string[])[];
  /** Thrown in the middle of the first answer. */
  readonly failure?: Error;
  /** Called before each piece; a test may abort there. */
  readonly onPiece?: (piece: string) => void | Promise<void>;
}

export interface FakeModel {
  readonly load: Load;
  readonly loads: { source: unknown; options: LoadOptions | undefined }[];
  readonly sessions: SessionOptions[];
  readonly inputs: GenerateInput[];
  /** Of `read`, and the texts of the files that were restored. */
  readonly reads: GenerateInput[];
  readonly restored: string[];
  readonly generateOptions: GenerateOptions[];
  nResets: number;
  isDisposed: boolean;
}

/** One token per character. */
const tokenizer = {
  encode: (text: string) => Uint32Array.from(text, (character) => character.codePointAt(0) ?? 0),
} as unknown as Tokenizer;

const bracketTemplate: ChatTemplate = {
  render: (messages) => messages.map(({ role, content }) => `[${role}]${content}`).join(""),
};

export function fakeModel(options: FakeModelOptions = {}): FakeModel {
  const fake: FakeModel = {
    load: (source, loadOptions) => {
      fake.loads.push({ source, options: loadOptions });
      loadOptions?.onProgress?.({ phase: "load", bytes: 50, totalBytes: 100, rate: 0 });
      loadOptions?.onProgress?.({ phase: "load", bytes: 100, totalBytes: 100, rate: 50 });
      return Promise.resolve(model);
    },
    loads: [],
    sessions: [],
    inputs: [],
    reads: [],
    restored: [],
    generateOptions: [],
    nResets: 0,
    isDisposed: false,
  };
  const session: Session = {
    generate: (input, generateOptions = {}) => {
      fake.inputs.push(input);
      fake.generateOptions.push(generateOptions);
      return stream(options, fake.inputs.length - 1, generateOptions);
    },
    read: (input, { onProgress } = {}) => {
      fake.reads.push(input);
      onProgress?.({ type: "prefill", done: 200, total: 200 });
      return Promise.resolve(USAGE);
    },
    fork: () => session,
    save: () => Promise.resolve(new Blob(["a saved session"])),
    usage: () => USAGE,
    reset: () => {
      fake.nResets++;
    },
    dispose: () => undefined,
  };
  const model: Model = {
    config: { nLayers: 2, contextLength: options.contextLength ?? 2048 } as ModelConfig,
    tokenizer,
    chatTemplate: options.chatTemplate === undefined ? bracketTemplate : options.chatTemplate,
    engine: { name: "wasm", activations: "q8", nThreads: 1 },
    loadMs: 610,
    session: (sessionOptions = {}) => {
      fake.sessions.push(sessionOptions);
      return session;
    },
    restore: async (snapshot) => {
      const bytes = snapshot instanceof Blob ? await snapshot.arrayBuffer() : snapshot;
      fake.restored.push(new TextDecoder().decode(bytes));
      return session;
    },
    dispose: () => {
      fake.isDisposed = true;
    },
  };
  return fake;
}

async function* stream(
  options: FakeModelOptions,
  call: number,
  generateOptions: GenerateOptions,
): AsyncGenerator<GenerateEvent> {
  const pieces = options.answers?.[call] ?? ["Ravens", " are", " black."];
  yield { type: "prefill", done: 100, total: 200 };
  yield { type: "prefill", done: 200, total: 200 };
  const { cache, compression } = USAGE;
  yield { type: "compressed", reason: "prompt", usage: cache, compression };
  for (const piece of pieces) {
    await options.onPiece?.(piece);
    if (generateOptions.signal?.aborted === true) {
      throw new KvasirError("aborted", "Cannot generate: aborted");
    }
    yield { type: "token", token: 1, text: piece };
    if (options.failure !== undefined && call === 0) throw options.failure;
  }
  yield { type: "done", reason: "stop", text: pieces.join(""), usage: USAGE };
}

export interface FakeInput extends LineInput {
  interrupt(): void;
  isClosed: boolean;
}

/** Lines that were typed; at their end the input waits for ever or is closed. */
export function fakeInput(lines: readonly string[], end: "eof" | "wait" = "eof"): FakeInput {
  const left = [...lines];
  let listener: () => void = () => undefined;
  const input: FakeInput = {
    next: () => {
      const line = left.shift();
      if (line !== undefined || end === "eof") return Promise.resolve(line);
      return new Promise<undefined>(() => undefined);
    },
    onInterrupt: (given) => {
      listener = given;
    },
    close: () => {
      input.isClosed = true;
    },
    interrupt: () => listener(),
    isClosed: false,
  };
  return input;
}
