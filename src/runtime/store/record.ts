// What the store writes down about a URL: the version that is whole, and the one being downloaded.
// One small file per URL, replaced at once, so that a version is either there or not.
import type { Validators } from "../http-answer.ts";
import { Sha256 } from "../../tokenizer/sha256.ts";

/** Bytes of a file that have a hash of their own; the last piece may be shorter. */
export const PIECE_BYTES = 4 << 20;

export interface Version {
  /** The file of the driver that holds the bytes. */
  readonly file: string;
  /** Bytes that are safe: hashed as they came, and flushed. */
  readonly byteLength: number;
  /** SHA-256 of each piece, hex. */
  readonly pieces: readonly string[];
  readonly validators: Validators;
  /** Of the whole file, where it was computed. */
  readonly sha256?: string | undefined;
  /** Milliseconds since 1970. */
  readonly storedAt: number;
}

export interface StoreRecord {
  /** URL without its fragment, or a name. */
  readonly url: string;
  readonly complete: Version | null;
  /** Whole pieces only. */
  readonly part: Version | null;
}

const FORMAT = 1;

/** The names of all files of a URL begin with it. */
export function idOf(url: string): string {
  return new Sha256().update(new TextEncoder().encode(url)).hex().slice(0, 32);
}

export const recordFile = (id: string): string => `${id}.json`;
export const isRecordFile = (name: string): boolean => /^[0-9a-f]{32}\.json$/.test(name);
export const newDataFile = (id: string): string => `${id}-${crypto.randomUUID()}.gguf`;

/** SHA-256 of one piece, off this thread where the platform can. */
export async function hashPiece(bytes: Uint8Array): Promise<string> {
  const { subtle } = crypto as { readonly subtle?: SubtleCrypto }; // not in insecure contexts
  if (subtle === undefined) return new Sha256().update(bytes).hex();
  const digest = new Uint8Array(await subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function writeRecord(record: StoreRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ format: FORMAT, ...record }));
}

/** @returns null for what no `writeRecord` of this format wrote. */
export function readRecord(bytes: Uint8Array): StoreRecord | null {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null; // cut off, or of another program
  }
  if (!isObject(value) || value["format"] !== FORMAT || typeof value["url"] !== "string") {
    return null;
  }
  const { complete = null, part = null } = value;
  const isFine = [complete, part].every((version) => version === null || isVersion(version));
  if (!isFine || (part !== null && (part as Version).byteLength % PIECE_BYTES !== 0)) return null;
  return { url: value["url"], complete: complete as Version | null, part: part as Version | null };
}

function isVersion(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { file, byteLength, pieces, validators, sha256, storedAt } = value;
  return (
    typeof file === "string" &&
    Number.isSafeInteger(byteLength) &&
    typeof storedAt === "number" &&
    isObject(validators) &&
    (sha256 === undefined || isHash(sha256)) &&
    Array.isArray(pieces) &&
    pieces.length === Math.ceil((byteLength as number) / PIECE_BYTES) &&
    pieces.every(isHash)
  );
}

const isHash = (value: unknown): boolean =>
  typeof value === "string" && /^[0-9a-f]{64}$/.test(value);

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null;
}
