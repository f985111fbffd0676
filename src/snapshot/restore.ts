// A file back to a session's state, on the model at hand.
import type { MethodDefinition } from "../compression/define-method.ts";
import { methodNames } from "../compression/registry.ts";
import { Conversation } from "../session/conversation.ts";
import { KvasirError } from "../errors.ts";
import { LastingSequence } from "../session/lasting-sequence.ts";
import { Sequence } from "../sequence.ts";
import type { SessionParts, SessionState } from "../session.ts";
import { resolveSession } from "../session/session-options.ts";
import type { SavedSession } from "./save.ts";
import { readSnapshot } from "./file.ts";
import type { RestoreOptions, SessionOptions } from "../types.ts";

/** @throws {KvasirError} `bad-snapshot`. */
export async function openSnapshot(file: Blob | ArrayBuffer | Uint8Array): Promise<SavedSession> {
  const { data } = await readSnapshot(file);
  if (isSession(data)) return data;
  throw bad("the file holds no session");
}

/**
 * What was saved, on the engine of `parts`.
 * @throws {KvasirError} `bad-snapshot`, `not-found` for the method, `out-of-memory`.
 */
export function resume(
  parts: SessionParts,
  saved: SavedSession,
  { methods = [] }: RestoreOptions,
): SessionState {
  checkModel(parts, saved);
  const { budget, turnPolicy, segments, ...others } = saved.options;
  const options = resolveSession(
    {
      ...others,
      ...segments,
      method: methodOf(saved, methods),
      ...(budget !== undefined && { budget }),
      ...(turnPolicy !== undefined && { turnPolicy }),
    },
    parts.transformer.engine,
  );
  const sequence = new Sequence(parts, options);
  try {
    checkMethod(sequence, saved);
    sequence.restore(saved.sequence);
  } catch (error) {
    sequence.dispose();
    throw error;
  }
  const { tokenizer, chatTemplate } = parts;
  const conversation = new Conversation(tokenizer, chatTemplate, saved.conversation);
  const lasting = new LastingSequence(parts, options, sequence, saved.sequence);
  return { options, sequence: lasting, conversation };
}

function methodOf(
  { method: { id, parameters } }: SavedSession,
  own: readonly MethodDefinition[],
): NonNullable<SessionOptions["method"]> {
  const definition = own.find((one) => one.id === id);
  if (definition !== undefined) {
    return { ...definition, create: (given) => definition.create({ ...parameters, ...given }) };
  }
  if (methodNames().includes(id)) return { ...parameters, name: id };
  throw new KvasirError(
    "not-found",
    `Cannot restore the session: give its method in options.methods, got a session of "${id}"`,
  );
}

/** The same method may choose other rows in another version. */
function checkMethod({ method }: Sequence, { method: saved }: SavedSession): void {
  const told = (one: SavedSession["method"]): string =>
    `${one.id} version ${one.version} ${JSON.stringify(Object.entries(one.parameters).sort())}`;
  if (told(method) === told(saved)) return;
  throw bad(`its method was ${told(saved)}, got ${told(method)}`);
}

function checkModel(parts: SessionParts, { model, sequence, options }: SavedSession): void {
  const { config } = parts.transformer;
  if (model.hash !== parts.modelHash) {
    const [was, is] = [model.hash.slice(0, 12), parts.modelHash.slice(0, 12)];
    throw bad(
      `it was saved with another model, "${model.name}" (${was}), got "${config.name}" (${is})`,
    );
  }
  if (model.tokenizer !== parts.tokenizer.hash) {
    throw bad(`it was saved with another tokenizer (${model.tokenizer.slice(0, 12)})`);
  }
  const { cache } = sequence;
  const isSame =
    cache.layers.length === config.nLayers &&
    cache.nKvHeads === config.nKvHeads &&
    cache.headDim === config.headDim &&
    cache.codec === options.codec;
  if (!isSame) throw bad("its rows have not the shape of the model's");
  for (const token of [...sequence.pending, ...sequence.recent]) {
    if (token >= config.vocabSize) throw bad(`its tokens are not the model's, got ${token}`);
  }
}

type Shape = Readonly<Record<string, (value: unknown) => boolean>>;

const isText = (value: unknown): value is string => typeof value === "string";
const isFlag = (value: unknown): value is boolean => typeof value === "boolean";
const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;
const isWords = (value: unknown): boolean => value instanceof Uint32Array;
const isBytes = (value: unknown): boolean => value instanceof Uint8Array;
const isAny = (): boolean => true;
const nullOr = (test: (value: unknown) => boolean) => (value: unknown) =>
  value === null || test(value);
const listOf = (test: (value: unknown) => boolean) => (value: unknown) =>
  Array.isArray(value) && value.every(test);
const record =
  (shape: Shape) =>
  (value: unknown): boolean =>
    typeof value === "object" &&
    value !== null &&
    Object.entries(shape).every(([name, test]) => test((value as Record<string, unknown>)[name]));

const isLayer = record({
  length: isWords,
  capacity: isWords,
  keys: isBytes,
  values: isBytes,
  positions: isWords,
  known: nullOr(isWords),
  turnedTo: listOf((value) => value === undefined || isCount(value)),
});
const isSequenceMeta = record({
  seen: isCount,
  promptLength: isCount,
  segments: listOf(record({ kind: isText, begin: isCount, end: isCount })),
});
const isMemory = record({
  state: isAny,
  sequence: nullOr(isSequenceMeta),
  nSteps: isCount,
  report: record({ overflowRows: isCount, keptMass: Array.isArray, notes: listOf(isText) }),
});
const isSessionShape = record({
  model: record({ hash: isText, tokenizer: isText, name: isText }),
  method: record({ id: isText, version: isCount, parameters: record({}) }),
  options: record({ codec: isText, segments: record({}) }),
  sequence: record({
    cache: record({
      codec: isText,
      nKvHeads: isCount,
      headDim: isCount,
      seen: isCount,
      layers: listOf(isLayer),
    }),
    memory: isMemory,
    tokens: record({ prompt: isCount, completion: isCount }),
    pending: isWords,
    recent: isWords,
  }),
  conversation: record({
    messages: listOf(record({ role: isText, content: isText })),
    isOpen: isFlag,
  }),
});

function isSession(data: unknown): data is SavedSession {
  return isSessionShape(data);
}

function bad(what: string): KvasirError {
  return new KvasirError("bad-snapshot", `Cannot restore the session: ${what}`);
}
