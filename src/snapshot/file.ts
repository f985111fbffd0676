// A saved session as a file: data of any kind, with a version and a checksum over every byte.
//
//   byte  0  "kvasir" 0d 0a    what it is; the line end shows copies that change line ends
//         8  u32               version of the format
//        12  u32               bytes of the head, a multiple of 8
//        16  u64               bytes of the whole file
//        24  head              JSON, UTF-8, filled up with spaces: data.ts
//         …  arrays            each at a multiple of 8 bytes
//   last 32  SHA-256           over everything before
//
// All numbers are little-endian. What the head holds: docs/snapshot.md.
import { KvasirError } from "../errors.ts";
import { align, decodeData, encodeData } from "./data.ts";
import { Sha256 } from "../tokenizer/sha256.ts";

export const SNAPSHOT_VERSION = 1;

const MAGIC = [..."kvasir\r\n"].map((character) => character.charCodeAt(0));
const PREFIX_BYTES = 24;
const HASH_BYTES = 32;
const SPACE = 0x20;

/** @throws {KvasirError} `unsupported-option` for what is not plain data. */
export async function writeSnapshot(data: unknown): Promise<Blob> {
  const { json, parts, byteLength } = encodeData(data);
  const text = new TextEncoder().encode(JSON.stringify(json));
  const headBytes = align(text.length);
  const dataBegin = PREFIX_BYTES + headBytes;
  const end = dataBegin + byteLength;
  const totalBytes = end + HASH_BYTES;
  const whole = new Uint8Array(totalBytes);
  whole.set(MAGIC);
  const view = new DataView(whole.buffer);
  view.setUint32(8, SNAPSHOT_VERSION, true);
  view.setUint32(12, headBytes, true);
  view.setBigUint64(16, BigInt(totalBytes), true);
  whole.fill(SPACE, PREFIX_BYTES, dataBegin);
  whole.set(text, PREFIX_BYTES);
  for (const { at, bytes } of parts) whole.set(bytes, dataBegin + at);
  whole.set(await sha256(whole.subarray(0, end)), end);
  return new Blob([whole], { type: "application/octet-stream" });
}

/** @throws {KvasirError} `bad-snapshot` that says what is wrong with the file. */
export async function readSnapshot(
  file: Blob | ArrayBuffer | Uint8Array,
): Promise<{ readonly data: unknown }> {
  const bytes = await bytesOf(file);
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) throw bad("the file is not a saved session");
  if (bytes.length < PREFIX_BYTES) throw cut(bytes.length, `at least ${PREFIX_BYTES}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(8, true);
  if (version !== SNAPSHOT_VERSION) {
    throw bad(`this version of kvasir reads format ${SNAPSHOT_VERSION}, got format ${version}`);
  }
  const totalBytes = view.getBigUint64(16, true);
  if (bytes.length < totalBytes) throw cut(bytes.length, String(totalBytes));
  const end = bytes.length - HASH_BYTES;
  const headEnd = PREFIX_BYTES + view.getUint32(12, true);
  const isWhole = totalBytes === BigInt(bytes.length) && headEnd <= end;
  const hash = isWhole ? await sha256(bytes.subarray(0, end)) : [];
  if (!isWhole || hash.some((byte, i) => byte !== bytes[end + i])) {
    throw bad("the file is damaged: its checksum is not that of its bytes");
  }
  try {
    const text = new TextDecoder().decode(bytes.subarray(PREFIX_BYTES, headEnd));
    return { data: decodeData(JSON.parse(text), bytes.subarray(headEnd, end)) };
  } catch (cause) {
    throw bad("its head cannot be read", cause);
  }
}

async function bytesOf(file: Blob | ArrayBuffer | Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  if (file instanceof Uint8Array) {
    return file.buffer instanceof ArrayBuffer
      ? new Uint8Array(file.buffer, file.byteOffset, file.byteLength)
      : new Uint8Array(file);
  }
  if (file instanceof ArrayBuffer) return new Uint8Array(file);
  if (file instanceof Blob) return new Uint8Array(await file.arrayBuffer());
  throw new KvasirError(
    "bad-option",
    `Cannot restore the session: a Blob, an ArrayBuffer or a Uint8Array is needed, got ${typeof file}`,
  );
}

/** By the platform where it can: pages without a secure origin cannot. */
async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const subtle = (globalThis as { crypto?: { subtle?: SubtleCrypto } }).crypto?.subtle;
  if (subtle !== undefined) return new Uint8Array(await subtle.digest("SHA-256", bytes));
  const hex = new Sha256().update(bytes).hex();
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function bad(what: string, cause?: unknown): KvasirError {
  return new KvasirError("bad-snapshot", `Cannot restore the session: ${what}`, { cause });
}

function cut(nBytes: number, wanted: string): KvasirError {
  return bad(`the file is cut short: it has ${wanted} bytes, got ${nBytes}`);
}
