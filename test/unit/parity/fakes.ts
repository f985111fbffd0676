// A golden folder in memory, with names of its own, and a model that gives the golden results.
import type { GoldenFolder } from "../../../src/parity/golden.ts";
import type {
  CheckResult,
  ParityHost,
  ParityModel,
  ParityOptions,
  PressedCache,
  PressSpec,
} from "../../../src/parity/runner.ts";
import { AREAS, runParity } from "../../../src/parity/runner.ts";
import type { ModelConfig } from "../../../src/model/config.ts";
import type { Tokenizer } from "../../../src/tokenizer/tokenizer.ts";

export class MemoryFolder implements GoldenFolder {
  readonly files = new Map<string, unknown>();

  put(path: string, value: unknown): this {
    this.files.set(path, value);
    return this;
  }

  /** Stores the raw array and gives back its entry for the JSON beside it. */
  array(
    path: string,
    values: Float32Array | Uint16Array | Uint8Array,
    shape: readonly number[] = [values.length],
  ): object {
    this.put(path, new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice());
    const dtype =
      values instanceof Float32Array ? "f32" : values instanceof Uint16Array ? "u16" : "u8";
    return { file: path.slice(path.lastIndexOf("/") + 1), dtype, shape };
  }

  list(): Promise<readonly string[]> {
    return Promise.resolve([...this.files.keys()]);
  }

  readJson(path: string): Promise<unknown> {
    return Promise.resolve(this.#get(path));
  }

  readBytes(path: string): Promise<Uint8Array> {
    return Promise.resolve(this.#get(path) as Uint8Array);
  }

  #get(path: string): unknown {
    if (!this.files.has(path)) throw new Error(`no file ${path}`);
    return this.files.get(path);
  }
}

export const IDS = [3, 1, 4, 2];
export const VOCAB_SIZE = 6;

/** f32[VOCAB_SIZE], best `token`, second best one logit behind. */
export function logitsFor(token: number): Float32Array {
  return Float32Array.from({ length: VOCAB_SIZE }, (_, i) =>
    i === token ? 5 : i === (token + 1) % VOCAB_SIZE ? 4 : i / 10,
  );
}

/** The model's rule: after token t comes t + 2. */
export const after = (token: number): number => (token + 2) % VOCAB_SIZE;

export function greedyAfter(token: number, length: number): object {
  const tokens: number[] = [];
  for (let next = after(token); tokens.length < length; next = after(next)) tokens.push(next);
  return { tokens, top1_logit: tokens.map(() => 5), top2_logit: tokens.map(() => 4) };
}

function logProbability(position: number): number {
  const logits = logitsFor(after(IDS[position] ?? 0));
  const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
  return (logits[IDS[position + 1] ?? 0] ?? 0) - Math.log(sum);
}

export const N_LAYERS = 2;
export const N_KV_HEADS = 2;
/** The kept set that model and folder agree on. */
export const KEPT = [0, 3];
export const SCORES = [0.9, 0.1, 0.2, 0.8];

/** One file of each kind, under names that occur nowhere else. */
export function goldenFolder(): MemoryFolder {
  const folder = new MemoryFolder();
  const last = IDS[IDS.length - 1] ?? 0;
  folder.put("raven/forward/hugin.json", {
    ids: IDS,
    last_logits: folder.array("raven/forward/hugin.last.f32", logitsFor(after(last))),
    next_logprob: IDS.slice(1).map((_, position) => logProbability(position)),
    argmax: IDS.map(after),
    argmax_margin: IDS.map(() => 1),
    greedy: greedyAfter(last, 5),
  });
  folder.put("raven/forward/hugin.internals.json", {});
  folder.put("raven/tokenizer.json", {
    _meta: { model: "raven.gguf" },
    cases: [
      { text: "ab", ids: [97, 98] },
      { text: "<a>", ids: [60, 97, 62], idsWithSpecial: [1], decodedWithSpecial: "\u0001" },
    ],
  });
  folder.put("templates.json", {
    source: "raven.gguf",
    conversations: [
      {
        messages: [{ role: "user", content: "Hi" }],
        rendered: "[user]Hi",
        rendered_generation_prompt: "[user]Hi[assistant]",
      },
    ],
  });
  folder.put("dequant/index.json", {
    F32: {
      raw: folder.array("dequant/F32.raw.u8", new Uint8Array(new Float32Array([1, -2]).buffer)),
      values: folder.array("dequant/F32.f32", new Float32Array([1, -2])),
    },
    IQ9_Z: {},
  });
  const toyLogits = new Float32Array(IDS.flatMap((id) => [...logitsFor(after(id))]));
  folder.put("toys/wren.json", {
    file: "wren.gguf",
    ids: IDS,
    text: "ab",
    text_ids: [97, 98],
    logits: folder.array("toys/wren.logits.f32", toyLogits, [IDS.length, VOCAB_SIZE]),
    greedy: greedyAfter(last, 3),
  });
  folder.put("toys/wren.gguf", new Uint8Array([7]));
  putPresses(folder, last);
  return folder;
}

function putPresses(folder: MemoryFolder, last: number): void {
  const first = after(last);
  const greedy = greedyAfter(last, 4);
  const directory = "raven/presses/munin";
  folder.put(`${directory}/index.json`, {
    ids: IDS,
    first_token: first,
    full_cache_greedy: greedy,
    full_cache_step1_logits: folder.array(`${directory}/full.f32`, logitsFor(after(first))),
  });
  const nHeads = N_LAYERS * N_KV_HEADS;
  const repeat = (values: readonly number[]): number[] =>
    Array.from({ length: nHeads }, () => values).flat();
  const shape = [N_LAYERS, N_KV_HEADS, IDS.length];
  folder.put(`${directory}/presses.json`, {
    beak: {
      params: { class: "SnapKVPress", window_size: 1, kernel_size: 1 },
      ratios: {
        "0.35": {
          kept: folder.array(`${directory}/beak.u16`, Uint16Array.from(repeat(KEPT))),
          counts: Array.from({ length: N_LAYERS }, () =>
            Array.from({ length: N_KV_HEADS }, () => 2),
          ),
          scores: folder.array(`${directory}/beak.f32`, Float32Array.from(repeat(SCORES)), shape),
          greedy,
          step1_logits: folder.array(`${directory}/beak.step1.f32`, logitsFor(after(first))),
        },
      },
    },
    claw: { params: { class: "NovelPress" }, ratios: {} },
  });
}

export interface FakeParityOptions {
  /** Added to logit 0, everywhere. */
  readonly logitError?: number;
  readonly wrongGreedy?: boolean;
  readonly kept?: readonly number[];
  readonly wrongIds?: boolean;
  readonly template?: string;
  readonly ulpError?: boolean;
}

export interface FakeHost extends ParityHost {
  readonly opened: string[];
  readonly specs: PressSpec[];
  nOpen: number;
}

export function fakeHost(options: FakeParityOptions = {}): FakeHost {
  const host: FakeHost = {
    opened: [],
    specs: [],
    nOpen: 0,
    open: (source, { activations, codec }) => {
      const name = typeof source === "string" ? source : "bytes";
      host.opened.push([name, activations, codec].filter(Boolean).join(" "));
      host.nOpen++;
      return Promise.resolve(fakeModel(options, host));
    },
    hasMethod: (name) => ["full", "snapkv"].includes(name),
    dequantize: (_type, blocks) => {
      const values = new Float32Array(blocks.slice().buffer);
      if (options.ulpError === true) values[0] = (values[0] ?? 0) * (1 + 2 ** -20);
      return values;
    },
  };
  return host;
}

function fakeModel(options: FakeParityOptions, host: FakeHost): ParityModel {
  const shifted = (token: number): Float32Array => {
    const logits = logitsFor(token);
    logits[0] = (logits[0] ?? 0) + (options.logitError ?? 0);
    return logits;
  };
  return {
    tokenizer: {
      encode: (text: string, { parseSpecial = false } = {}) => {
        if (parseSpecial && text === "<a>") return Uint32Array.of(1);
        const ids = Uint32Array.from(text, (character) => character.codePointAt(0) ?? 0);
        return options.wrongIds === true ? ids.subarray(1) : ids;
      },
      decode: (tokens: ArrayLike<number>) => String.fromCodePoint(...Array.from(tokens)),
    } as unknown as Tokenizer,
    chatTemplate: {
      render: (messages, { addGenerationPrompt = true } = {}) =>
        messages.map(({ role, content }) => `[${role}]${content}`).join("") +
        (addGenerationPrompt ? (options.template ?? "[assistant]") : ""),
    },
    config: { vocabSize: VOCAB_SIZE } as ModelConfig,
    logits: (ids, positions, visit) => {
      const first = positions === "all" ? 0 : ids.length - 1;
      for (let i = first; i < ids.length; i++) visit(i, shifted(after(ids[i] ?? 0)));
      return Promise.resolve();
    },
    greedy: (ids, nTokens) => {
      const { tokens } = greedyAfter(ids[ids.length - 1] ?? 0, nTokens) as { tokens: number[] };
      return Promise.resolve(
        options.wrongGreedy === true ? tokens.map((token) => token ^ 1) : tokens,
      );
    },
    press: async function* (_ids, specs): AsyncGenerator<PressedCache> {
      for (const spec of specs) {
        host.specs.push(spec);
        await Promise.resolve();
        const kept = Uint32Array.from(options.kept ?? KEPT);
        yield {
          kept: Array.from({ length: N_LAYERS }, () =>
            Array.from({ length: N_KV_HEADS }, () => kept),
          ),
          next: (token) => Promise.resolve(shifted(after(token))),
          dispose: () => undefined,
        };
      }
    },
    dispose: () => {
      host.nOpen--;
    },
  };
}

export async function check(
  folder: MemoryFolder,
  host: ParityHost,
  options: Partial<ParityOptions> = {},
): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  const all: ParityOptions = {
    engine: "reference",
    activations: ["f32", "q8"],
    only: AREAS,
    findModel: (name) => Promise.resolve(`/models/${name}`),
    models: new Map(),
    ...options,
  };
  for await (const result of runParity(folder, host, all)) results.push(result);
  return results;
}
