// Models cut into files `name-00001-of-0000N.gguf`, each a GGUF file with its share of the tensors.
import { KvasirError } from "../errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { getInteger, type WithMetadata } from "./metadata.ts";
import { type GgufFile, parseGguf } from "./parse.ts";
import type { TensorInfo } from "./tensor-info.ts";

const SHARD_NAME = /^(.*-)(\d{5})-of-(\d{5})(\.gguf(?:[?#].*)?)$/i;
const MAX_SHARDS = 999;

/** Opens a file beside the first; rejects with `not-found` or `network` when it cannot. */
export type OpenShard = (name: string) => Promise<ByteSource>;

/** Whether a file name, path or URL is that of one of several shards. */
export function isShardName(name: string): boolean {
  return SHARD_NAME.test(name);
}

/**
 * The names of all shards when `name` (a file name, path or URL) is the first of several.
 *
 * @returns null when the name is not of that form or says "of 00001".
 * @throws {KvasirError} `bad-option` when it is not the first: the first holds the metadata.
 */
export function shardNames(name: string): string[] | null {
  const match = SHARD_NAME.exec(name);
  if (!match) return null;
  const [, stem = "", index = "", total = "", extension = ""] = match;
  const nShards = Number(total);
  if (nShards <= 1) return null;
  const nameOf = (i: number) => `${stem}${String(i).padStart(5, "0")}-of-${total}${extension}`;
  if (Number(index) !== 1) {
    throw new KvasirError(
      "bad-option",
      `Cannot open "${name}": give the first shard, "${nameOf(1)}", ` +
        `got shard ${Number(index)} of ${nShards}`,
    );
  }
  if (nShards > MAX_SHARDS) {
    throw new KvasirError("bad-gguf", `Cannot open "${name}": the limit is ${MAX_SHARDS} shards`);
  }
  return Array.from({ length: nShards }, (_, i) => nameOf(i + 1));
}

/**
 * Parses a file, and all its shards where its metadata says that it has some. Where the file has
 * none, this is `parseGguf`.
 *
 * @param first The first shard; `open` is given the others' names, made from `name`.
 * @param name Path or URL of the first; default `first.name`.
 * @returns The first shard's metadata, all tensors, each knowing its source.
 * @throws {KvasirError} as `parseGguf`, and for shards that are missing or do not fit together. The
 *   sources opened here are then closed; `first` stays the caller's.
 */
export async function parseSharded(
  first: ByteSource,
  open: OpenShard,
  options: { readonly name?: string; readonly signal?: AbortSignal } = {},
): Promise<GgufFile> {
  const head = await parseGguf(first, options.signal);
  const nShards = getInteger(head, "split.count", 0, MAX_SHARDS) ?? 0;
  if (nShards <= 1) return head;
  checkShard(head, 0, nShards);
  const names = shardNames(options.name ?? first.name);
  if (names?.length !== nShards) {
    throw shardError(
      head,
      `it is the first of ${nShards} shards, its name must end in ` +
        `"-00001-of-${String(nShards).padStart(5, "0")}.gguf"`,
    );
  }
  const opened: ByteSource[] = [];
  try {
    const files = [head];
    for (const [i, name] of names.entries()) {
      if (i === 0) continue;
      const source = await openShard(head, open, name, i, nShards);
      opened.push(source);
      const file = await parseGguf(source, options.signal);
      checkShard(file, i, nShards);
      files.push(file);
    }
    return merge(files);
  } catch (error) {
    await Promise.all(opened.map((source) => source.close?.()));
    throw error;
  }
}

async function openShard(
  head: GgufFile,
  open: OpenShard,
  name: string,
  index: number,
  nShards: number,
): Promise<ByteSource> {
  try {
    return await open(name);
  } catch (cause) {
    const code = cause instanceof KvasirError ? cause.code : "not-found";
    throw new KvasirError(
      code,
      `Cannot read GGUF "${head.name}": ` +
        `shard ${index + 1} of ${nShards}, "${name}", cannot be opened`,
      { cause },
    );
  }
}

function checkShard(file: GgufFile, index: number, nShards: number): void {
  const no = getInteger(file, "split.no");
  if (no !== index) {
    throw shardError(file, `key "split.no" of shard ${index + 1} must be ${index}, got ${no}`);
  }
  const count = getInteger(file, "split.count");
  if (count !== nShards) {
    throw shardError(
      file,
      `key "split.count" must be ${nShards} as in the first shard, got ${count}`,
    );
  }
}

function merge(files: readonly GgufFile[]): GgufFile {
  const head = files[0] as GgufFile;
  const tensors = new Map<string, TensorInfo>();
  for (const file of files) {
    for (const [name, info] of file.tensors) {
      if (tensors.has(name)) throw shardError(file, `tensor "${name}" is in another shard too`);
      tensors.set(name, info);
    }
  }
  const nTensors = getInteger(head, "split.tensors.count");
  if (nTensors !== undefined && nTensors !== tensors.size) {
    throw shardError(
      head,
      `key "split.tensors.count" is ${nTensors}, the shards hold ${tensors.size}`,
    );
  }
  return { ...head, tensors, sources: files.flatMap((file) => file.sources) };
}

function shardError(file: WithMetadata, what: string): KvasirError {
  return new KvasirError("bad-gguf", `Cannot read GGUF "${file.name}": ${what}`);
}
