import { KvasirError } from "../errors.ts";
import { TextList } from "../text-list.ts";
import { PRE_TOKENIZERS, type PreTokenizer } from "./pre-tokenizers.ts";

/** Values of `tokenizer.ggml.token_type`. */
export const TokenType = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;

/** What a GGUF file says about its tokenizer, checked. */
export interface Vocabulary {
  readonly model: "bpe" | "spm";
  /** undefined for spm. */
  readonly preTokenizer: PreTokenizer | undefined;
  readonly preTokenizerName: string;
  readonly tokens: TextList; // [vocabSize]
  readonly types: Uint8Array; // [vocabSize], TokenType
  readonly scores: Float32Array; // [vocabSize] for spm, else empty
  /** "left right", the first merges first; empty for spm. */
  readonly merges: TextList;
  readonly bosToken: number | undefined;
  readonly eosToken: number | undefined;
  readonly unknownToken: number | undefined;
  readonly stopTokens: ReadonlySet<number>;
  readonly addsBos: boolean;
  readonly addsSpacePrefix: boolean;
}

/** Metadata of a GGUF file: strings, numbers, booleans, arrays of them; texts as a `TextList` too. */
export type Metadata = ReadonlyMap<string, unknown>;

const MODELS: ReadonlyMap<string, "bpe" | "spm"> = new Map([
  ["gpt2", "bpe"],
  ["llama", "spm"],
  ["gemma", "spm"],
]);

const STOP_TEXTS = [
  "<|im_end|>",
  "<|eot_id|>",
  "<|eom_id|>",
  "<end_of_turn>",
  "<|endoftext|>",
  "<|end_of_text|>",
];

// Control tokens by their text, whatever type the file gives them, as in llama.cpp (`impl::load`):
// converters mark many of them as user-defined, and then a user's text could forge them.
const CONTROL_TEXTS = [
  ...STOP_TEXTS,
  ...["<|end|>", "<|return|>", "<|call|>", "<|calls|>", "<|flush|>", "</s>", "<eos>"],
  ...["<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<end_of_utterance>", "<turn|>", "[e~["],
  ...["<|tool_response>", "<｜end▁of▁sentence｜>"],
  ...["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>", "<|fim_repo|>"],
  ...["<|repo_name|>", "<|file_sep|>"],
];

/** More than any of these takes. */
const MAX_NAMED_BYTES = 64;

/**
 * Reads and checks the `tokenizer.ggml.*` keys.
 *
 * @throws {KvasirError} `bad-gguf` where keys are missing or of a wrong shape, `unsupported-model`
 *   where the kind of tokenizer is unknown.
 */
export function parseVocabulary(metadata: Metadata): Vocabulary {
  const model = supported(MODELS, "tokenizer model", text(metadata, "model") ?? "none");
  const preTokenizerName = model === "bpe" ? (text(metadata, "pre") ?? "default") : "";
  const preTokenizer =
    model === "bpe" ? supported(PRE_TOKENIZERS, "pre-tokenizer", preTokenizerName) : undefined;

  const tokens = texts(metadata, "tokens");
  const named = findTexts(tokens, [...STOP_TEXTS, ...CONTROL_TEXTS]);
  const id = (key: string, fallback?: number): number | undefined => {
    const token = count(metadata, `${key}_token_id`) ?? fallback;
    return token !== undefined && token < tokens.length ? token : undefined;
  };
  const isSpm = model === "spm"; // SPM files may leave out what sentencepiece takes for granted
  const bosToken = id("bos", isSpm ? 1 : undefined);
  const eosToken = id("eos", isSpm ? 2 : undefined);
  const stopTokens = [eosToken, id("eot"), id("eom"), ...STOP_TEXTS.map((stop) => named.get(stop))];
  const wantsBos = flag(metadata, "add_bos_token") ?? (isSpm || preTokenizer?.addsBos === true);

  return {
    model,
    preTokenizer,
    preTokenizerName,
    tokens,
    types: tokenTypes(metadata, named, tokens.length),
    scores: isSpm
      ? new Float32Array(numbers(metadata, "scores", tokens.length))
      : new Float32Array(0),
    merges: isSpm ? TextList.of([]) : texts(metadata, "merges"),
    bosToken,
    eosToken,
    unknownToken: id("unknown", isSpm ? 0 : undefined),
    stopTokens: new Set(stopTokens.filter((token) => token !== undefined)),
    addsBos: wantsBos && bosToken !== undefined,
    addsSpacePrefix: isSpm && (flag(metadata, "add_space_prefix") ?? true),
  };
}

/** The first token of each text that is one; makes strings only of those that begin like any. */
function findTexts(tokens: TextList, texts: readonly string[]): ReadonlyMap<string, number> {
  const encoder = new TextEncoder();
  const mayBe = new Uint8Array(256 * MAX_NAMED_BYTES); // by first byte and length
  for (const text of texts) {
    const bytes = encoder.encode(text);
    mayBe[256 * bytes.byteLength + bytes[0]!] = 1;
  }
  const wanted = new Set(texts);
  const found = new Map<string, number>();
  const { bytes, ends } = tokens;
  for (let i = 0; i < ends.length; i++) {
    const start = tokens.start(i);
    const length = ends[i]! - start;
    if (length >= MAX_NAMED_BYTES || mayBe[256 * length + bytes[start]!] !== 1) continue;
    const text = tokens.at(i) ?? "";
    if (wanted.has(text) && !found.has(text)) found.set(text, i);
  }
  return found;
}

function tokenTypes(
  metadata: Metadata,
  named: ReadonlyMap<string, number>,
  vocabSize: number,
): Uint8Array {
  const types = metadata.has("tokenizer.ggml.token_type")
    ? new Uint8Array(numbers(metadata, "token_type", vocabSize))
    : new Uint8Array(vocabSize).fill(TokenType.normal);
  for (const control of CONTROL_TEXTS) {
    const token = named.get(control);
    if (token !== undefined) types[token] = TokenType.control;
  }
  return types;
}

function supported<T>(table: ReadonlyMap<string, T>, what: string, name: string): T {
  const entry = table.get(name);
  if (entry !== undefined) return entry;
  const names = [...table.keys()].join(", ");
  throw new KvasirError(
    "unsupported-model",
    `Cannot create tokenizer: the ${what} must be one of ${names}, got "${name}"`,
  );
}

function badValue(key: string, expected: string, value: unknown): KvasirError {
  const got =
    value === undefined ? "nothing" : Array.isArray(value) ? "another array" : typeof value;
  return new KvasirError(
    "bad-gguf",
    `Cannot create tokenizer: tokenizer.ggml.${key} must be ${expected}, got ${got}`,
  );
}

function text(metadata: Metadata, key: string): string | undefined {
  const value = metadata.get(`tokenizer.ggml.${key}`);
  if (value === undefined || typeof value === "string") return value;
  throw badValue(key, "a string", value);
}

function flag(metadata: Metadata, key: string): boolean | undefined {
  const value = metadata.get(`tokenizer.ggml.${key}`);
  if (value === undefined || typeof value === "boolean") return value;
  throw badValue(key, "a boolean", value);
}

function count(metadata: Metadata, key: string): number | undefined {
  const value = metadata.get(`tokenizer.ggml.${key}`);
  if (value === undefined) return undefined;
  const number = typeof value === "bigint" ? Number(value) : value;
  if (typeof number === "number" && Number.isSafeInteger(number) && number >= 0) return number;
  throw badValue(key, "an integer of at least 0", value);
}

function texts(metadata: Metadata, key: string): TextList {
  const value = metadata.get(`tokenizer.ggml.${key}`);
  if (value instanceof TextList) return value;
  if (Array.isArray(value) && value.every((entry) => typeof entry === "string")) {
    return TextList.of(value);
  }
  throw badValue(key, "an array of strings", value);
}

function numbers(metadata: Metadata, key: string, length: number): ArrayLike<number> {
  const value = metadata.get(`tokenizer.ggml.${key}`);
  const isNumeric =
    (ArrayBuffer.isView(value) && !(value instanceof DataView)) ||
    (Array.isArray(value) && value.every((entry) => typeof entry === "number"));
  if (!isNumeric) throw badValue(key, "an array of numbers", value);
  const array = value as { readonly length: number; slice(start: number, end: number): number[] };
  if (array.length < length) {
    throw new KvasirError(
      "bad-gguf",
      `Cannot create tokenizer: tokenizer.ggml.${key} must hold ${length} numbers, got ${array.length}`,
    );
  }
  return array.length === length ? (value as ArrayLike<number>) : array.slice(0, length);
}
