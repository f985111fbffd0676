// A folder of golden data: what lies in it, and how its files are read. Nothing here knows the
// name of a prompt, a model or a press: everything is found by the layout.

/** A folder of golden data, given by the platform. Paths are relative, parts joined by "/". */
export interface GoldenFolder {
  /** Every file in it, at any depth. */
  list(): Promise<readonly string[]>;
  readJson(path: string): Promise<unknown>;
  readBytes(path: string): Promise<Uint8Array>;
}

/** Golden data that cannot be used as they are; the check that needs them fails with the message. */
export class GoldenError extends Error {
  override readonly name = "GoldenError";
}

export interface GoldenContents {
  /** `<folder>/forward/<prompt>.json`. */
  readonly forward: readonly GoldenPrompt[];
  /** `<folder>/forward/<prompt>.internals.json`. */
  readonly internals: readonly string[];
  /** `<folder>/tokenizer.json`. */
  readonly tokenizers: readonly { readonly folder: string; readonly path: string }[];
  readonly templates: readonly string[];
  /** `dequant/index.json`. */
  readonly dequant: readonly string[];
  /** `<folder>/presses/<prompt>/` with `index.json` and `presses.json`. */
  readonly presses: readonly GoldenPrompt[];
  /** `toys/<toy>.json`. */
  readonly toys: readonly string[];
}

export interface GoldenPrompt {
  /** The folder of the model, "" for the root. */
  readonly folder: string;
  readonly name: string;
  /** The prompt's JSON, for presses the folder of the two. */
  readonly path: string;
}

/** Sorts the files of a golden folder by what they hold. */
export async function discover(golden: GoldenFolder): Promise<GoldenContents> {
  const paths = [...(await golden.list())].sort();
  const present = new Set(paths);
  const match = (pattern: RegExp): RegExpExecArray[] =>
    paths.map((path) => pattern.exec(path)).filter((found) => found !== null);
  const forward = match(/^(?:(.+)\/)?forward\/([^/]+)\.json$/);
  const isInternals = (found: RegExpExecArray): boolean => found[0].endsWith(".internals.json");
  const prompt = ([path, folder = "", name = ""]: RegExpExecArray): GoldenPrompt => {
    return { folder, name, path };
  };
  return {
    forward: forward.filter((found) => !isInternals(found)).map(prompt),
    internals: forward.filter(isInternals).map((found) => found[0]),
    tokenizers: match(/^(?:(.+)\/)?tokenizer\.json$/).map(([path, folder = ""]) => ({
      folder,
      path,
    })),
    templates: match(/^(?:.+\/)?templates\.json$/).map((found) => found[0]),
    dequant: match(/^(?:.+\/)?dequant\/index\.json$/).map((found) => found[0]),
    presses: match(/^(?:(.+)\/)?presses\/([^/]+)\/presses\.json$/)
      .map(prompt)
      .map((found) => ({ ...found, path: directoryOf(found.path) }))
      .filter((found) => present.has(`${found.path}/index.json`)),
    toys: match(/^(?:.+\/)?toys\/[^/]+\.json$/).map((found) => found[0]),
  };
}

export function directoryOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** The path of a file named in a JSON file: it lies beside it. */
export function beside(path: string, file: string): string {
  const directory = directoryOf(path);
  return directory === "" ? file : `${directory}/${file}`;
}

const ELEMENT_BYTES = { f32: 4, u16: 2, u8: 1 } as const;

interface ArrayOf {
  f32: Float32Array;
  u16: Uint16Array;
  u8: Uint8Array;
}

export interface GoldenArray<T> {
  readonly values: T;
  readonly shape: readonly number[];
}

/**
 * Reads the raw array that `entry` (`{ file, dtype, shape }` in the JSON at `path`) names.
 *
 * @throws {GoldenError} When the file's size is not the shape's, or the type another.
 */
export async function readArray<D extends keyof ArrayOf>(
  golden: GoldenFolder,
  path: string,
  entry: JsonObject,
  dtype: D,
): Promise<GoldenArray<ArrayOf[D]>> {
  const file = beside(path, text(entry, "file"));
  const shape = numbers(entry, "shape");
  if (entry["dtype"] !== dtype) {
    throw new GoldenError(`${file} is to be ${dtype}, got ${String(entry["dtype"])}`);
  }
  const bytes = await golden.readBytes(file);
  const wanted = shape.reduce((product, size) => product * size, 1) * ELEMENT_BYTES[dtype];
  if (bytes.byteLength !== wanted) {
    throw new GoldenError(`${file} is to hold ${wanted} bytes, got ${bytes.byteLength}`);
  }
  // A copy: the bytes may start anywhere, typed arrays must not.
  const { buffer } = bytes.slice();
  const make = { f32: Float32Array, u16: Uint16Array, u8: Uint8Array }[dtype];
  return { values: new make(buffer) as ArrayOf[D], shape };
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export async function readObject(golden: GoldenFolder, path: string): Promise<JsonObject> {
  const value = await golden.readJson(path);
  if (!isObject(value)) throw new GoldenError(`${path} is not a JSON object`);
  return value;
}

/** The object at `key`, undefined where there is none. */
export function maybeObject(parent: JsonObject, key: string): JsonObject | undefined {
  const value = parent[key];
  return isObject(value) ? value : undefined;
}

export function object(parent: JsonObject, key: string): JsonObject {
  const value = parent[key];
  if (!isObject(value)) throw new GoldenError(`"${key}" is missing or no object`);
  return value;
}

export function text(parent: JsonObject, key: string): string {
  const value = parent[key];
  if (typeof value !== "string") throw new GoldenError(`"${key}" is missing or no text`);
  return value;
}

export function number(parent: JsonObject, key: string): number {
  const value = parent[key];
  if (typeof value !== "number") throw new GoldenError(`"${key}" is missing or no number`);
  return value;
}

export function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => typeof item === "number");
}

export function numbers(parent: JsonObject, key: string): readonly number[] {
  const value = parent[key];
  if (!isNumbers(value)) throw new GoldenError(`"${key}" is missing or no list of numbers`);
  return value;
}

export function objects(parent: JsonObject, key: string): readonly JsonObject[] {
  const value = parent[key];
  if (!Array.isArray(value) || !value.every(isObject)) {
    throw new GoldenError(`"${key}" is missing or no list of objects`);
  }
  return value;
}

/** A greedy continuation: the tokens, and how far each was ahead of the second best. */
export interface GoldenGreedy {
  readonly tokens: readonly number[];
  /** Logits; as many as tokens. */
  readonly margins: readonly number[];
}

export function greedyOf(parent: JsonObject, key: string): GoldenGreedy {
  const entry = object(parent, key);
  const tokens = numbers(entry, "tokens");
  const top1 = numbers(entry, "top1_logit");
  const top2 = numbers(entry, "top2_logit");
  if (top1.length !== tokens.length || top2.length !== tokens.length) {
    throw new GoldenError(`"${key}" holds ${tokens.length} tokens and ${top1.length} logits`);
  }
  return { tokens, margins: top1.map((logit, i) => logit - (top2[i] ?? -Infinity)) };
}
