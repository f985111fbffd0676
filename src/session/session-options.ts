// Defaults and ranges of what a session is asked for.
import type { Engine } from "../engine/engine.ts";
import { KvasirError } from "../errors.ts";
import type { GenerateOptions, SegmentOptions, SessionOptions } from "../types.ts";

const DEFAULT_HEADROOM = 64;
const DEFAULT_MAX_TOKENS = 256;
const MAX_CHUNK_SIZE = 4096;

export interface ResolvedSession {
  readonly method: NonNullable<SessionOptions["method"]>;
  readonly budget: SessionOptions["budget"];
  readonly codec: Engine["defaults"]["codec"];
  readonly chunkSize: number;
  readonly headroom: number;
  readonly flow: "strict" | "usual";
  /** undefined: what suits the method. */
  readonly turnPolicy: SessionOptions["turnPolicy"];
  readonly segments: Pick<SegmentOptions, "splitter" | "protect">;
}

const SPLITTERS = ["blank-line", "line", "sentence", "Q:", "chat-turn"];
const KINDS = ["system", "shot", "question", "generated", "text"];

/**
 * @throws {KvasirError} `bad-option` naming the option, its value and the range, `unsupported-option`
 *   for a codec that the engine has not.
 */
export function resolveSession(
  options: SessionOptions,
  { name, defaults, codecs }: Pick<Engine, "name" | "defaults" | "codecs">,
): ResolvedSession {
  const {
    method = "full",
    budget,
    codec = defaults.codec,
    chunkSize = defaults.chunkSize,
    headroom = DEFAULT_HEADROOM,
    flow = "strict",
    turnPolicy,
  } = options;
  checkChoice("codec", codec, ["f32", "f16", "q8"]);
  if (!codecs.includes(codec)) {
    throw new KvasirError(
      "unsupported-option",
      `Cannot make a session: the engine "${name}" stores rows as ${codecs.join(" or ")}, ` +
        `got codec "${codec}"`,
    );
  }
  checkChoice("flow", flow, ["strict", "usual"]);
  if (turnPolicy !== undefined) checkChoice("turnPolicy", turnPolicy, ["first", "each"]);
  const { splitter, protect } = options;
  const segments = { ...(splitter && { splitter }), ...(protect && { protect }) };
  checkSegments(segments);
  checkInteger("make a session", "chunkSize", chunkSize, 1, MAX_CHUNK_SIZE);
  checkInteger("make a session", "headroom", headroom, 1, 2 ** 20);
  return { method, budget, codec, chunkSize, headroom, flow, turnPolicy, segments };
}

export function checkSegments({ splitter, protect = [] }: SegmentOptions): void {
  if (splitter !== undefined) checkChoice("splitter", splitter, SPLITTERS);
  for (const kind of protect) checkChoice("protect", kind, KINDS);
}

export function resolveGenerate(options: GenerateOptions): {
  readonly maxTokens: number;
  readonly ignoreEos: boolean;
} {
  const { maxTokens = DEFAULT_MAX_TOKENS, ignoreEos = false, logprobs } = options;
  checkInteger("generate", "maxTokens", maxTokens, 1, 2 ** 31 - 1);
  if (logprobs !== undefined) checkInteger("generate", "logprobs", logprobs, 0, 256);
  checkStop(options.stop);
  checkSegments(options);
  return { maxTokens, ignoreEos };
}

function checkStop(stop: unknown): void {
  const isText = (value: unknown): boolean => typeof value === "string";
  if (stop === undefined || isText(stop) || (Array.isArray(stop) && stop.every(isText))) return;
  throw new KvasirError(
    "bad-option",
    `Cannot generate: stop must be a text or a list of texts, got ${JSON.stringify(stop)}`,
  );
}

function checkChoice(name: string, value: string, choices: readonly string[]): void {
  if (choices.includes(value)) return;
  throw new KvasirError(
    "bad-option",
    `Cannot make a session: ${name} must be one of ${choices.join(", ")}, got "${value}"`,
  );
}

function checkInteger(action: string, name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new KvasirError(
    "bad-option",
    `Cannot ${action}: ${name} must be an integer from ${min} to ${max}, got ${value}`,
  );
}
