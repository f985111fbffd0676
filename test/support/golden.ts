// Where golden data lies, and how it is read. The full set stands beside the repository
// (`../shared/golden`), the small part that every checkout needs in `test/golden`.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FOLDERS = [join(ROOT, "..", "shared", "golden"), join(ROOT, "test", "golden")];

/** The first golden folder that exists: the full set, else the copied part. */
export function goldenDir(): string {
  return FOLDERS.find((folder) => existsSync(folder)) ?? join(ROOT, "test", "golden");
}

/** Absolute path of `rel` in the full set, else in the copied part; undefined without both. */
export function goldenPath(rel: string): string | undefined {
  return FOLDERS.map((folder) => join(folder, rel)).find((path) => existsSync(path));
}

/** As `goldenPath`, for goldens that a test cannot do without. */
export function requireGolden(rel: string): string {
  const path = goldenPath(rel);
  if (path === undefined)
    throw new Error(`Missing golden "${rel}": in none of ${FOLDERS.join(", ")}`);
  return path;
}

export function readU8(rel: string): Uint8Array {
  return new Uint8Array(readFileSync(requireGolden(rel))); // a copy: aligned, not pooled
}

export function readU16(rel: string): Uint16Array {
  return new Uint16Array(readU8(rel).buffer);
}

export function readF32(rel: string): Float32Array {
  return new Float32Array(readU8(rel).buffer);
}

/** The caller states the shape that it relies on. */
export function readJson<T>(rel: string): T {
  return JSON.parse(readFileSync(requireGolden(rel), "utf8")) as T;
}
