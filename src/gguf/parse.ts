// GGUF bytes -> metadata and tensor table. Versions 2 and 3, little-endian. Tensor data is never
// read.
import { KvasirError } from "../errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { HeaderReader } from "./header-reader.ts";
import { checkTensorLayout, readTensorInfo, type TensorInfo } from "./tensor-info.ts";
import { describeType, type GgufValue, readTypedValue } from "./value.ts";

export interface GgufFile {
  /** Of the source, for messages. */
  readonly name: string;
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** By name, in the file's order. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Bytes. */
  readonly alignment: number;
  /** Where tensor data begins; of the first shard where there are several. */
  readonly dataByteOffset: number;
  /** Several for a sharded model. */
  readonly sources: readonly ByteSource[];
}

const MAGIC = 0x46554747; // "GGUF" read as a little-endian u32
const MAX_KEYS = 2 ** 16;
const MAX_TENSORS = 2 ** 16;
const MAX_KEY_BYTES = 2 ** 16 - 1; // the format's own limit
const MIN_ENTRY_BYTES = 8 + 4 + 1; // key length, type, the smallest value
const MIN_TENSOR_BYTES = 8 + 4 + 8 + 4 + 8; // name length, number of dims, one dim, type, offset
const DEFAULT_ALIGNMENT = 32;
const MAX_ALIGNMENT = 2 ** 20;

/**
 * Reads the header of a GGUF file, in pieces; costs about its bytes in memory, twice for arrays.
 *
 * @throws {KvasirError} `bad-gguf` for anything that breaks the format, with the byte offset, key
 *   or tensor; `unsupported-model` for another version, big-endian files and tensor types not read.
 */
export async function parseGguf(source: ByteSource, signal?: AbortSignal): Promise<GgufFile> {
  const reader = new HeaderReader(source, signal);
  const version = await readVersion(reader, source);
  const nTensors = await reader.readCount("the number of tensors", MIN_TENSOR_BYTES, MAX_TENSORS);
  const nKeys = await reader.readCount("the number of keys", MIN_ENTRY_BYTES, MAX_KEYS);
  const metadata = await readMetadata(reader, nKeys);
  const alignment = readAlignment(reader, metadata);
  const infos: TensorInfo[] = [];
  for (let i = 0; i < nTensors; i++) infos.push(await readTensorInfo(reader, source));
  const dataByteOffset = Math.ceil(reader.position / alignment) * alignment;
  return {
    name: source.name,
    version,
    metadata,
    tensors: checkTensorLayout(infos, source, dataByteOffset, alignment),
    alignment,
    dataByteOffset,
    sources: [source],
  };
}

async function readVersion(reader: HeaderReader, source: ByteSource): Promise<number> {
  const magic = await reader.readU32("the magic");
  if (magic !== MAGIC) {
    const hex = magic.toString(16).padStart(8, "0");
    throw reader.error(0, `it does not begin with "GGUF", got the u32 0x${hex}`);
  }
  const version = await reader.readU32("the version");
  if (version === 2 || version === 3) return version;
  const isBigEndian = version !== 0 && (version & 0xffff) === 0;
  throw new KvasirError(
    "unsupported-model",
    isBigEndian
      ? `Cannot read GGUF "${source.name}": it is big-endian, only little-endian files are read`
      : `Cannot read GGUF "${source.name}": versions 2 and 3 are read, got version ${version}`,
  );
}

async function readMetadata(reader: HeaderReader, nKeys: number): Promise<Map<string, GgufValue>> {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < nKeys; i++) {
    const byteOffset = reader.position;
    const key = await reader.readName(`key ${i + 1} of ${nKeys}`, MAX_KEY_BYTES);
    if (key === "") throw reader.error(byteOffset, `key ${i + 1} of ${nKeys} is empty`);
    if (metadata.has(key)) throw reader.error(byteOffset, `key "${key}" appears twice`);
    metadata.set(key, await readTypedValue(reader, key));
  }
  return metadata;
}

function readAlignment(reader: HeaderReader, metadata: Map<string, GgufValue>): number {
  const value = metadata.get("general.alignment") ?? DEFAULT_ALIGNMENT;
  const isPowerOfTwo = typeof value === "number" && Number.isInteger(Math.log2(value));
  if (isPowerOfTwo && value >= 8 && value <= MAX_ALIGNMENT) return value;
  const got = typeof value === "number" ? value : describeType(value);
  throw reader.error(
    reader.position,
    `key "general.alignment" must be a power of two from 8 to ${MAX_ALIGNMENT}, got ${got}`,
  );
}
