import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

export interface KernelSize {
  readonly build: string;
  readonly bytes: number;
  /** By gzip's best effort: what a server sends. */
  readonly gzipBytes: number;
}

/** Of every build of the kernels that the package in `folders` holds, the first one that is there. */
export function kernelSizes(folders: readonly string[]): KernelSize[] {
  const folder = folders.map((one) => join(one, "kernels")).find((one) => existsSync(one));
  if (folder === undefined) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => {
      const bytes = readFileSync(join(folder, name, "kvasir_kernels_bg.wasm"));
      const gzipBytes = gzipSync(bytes, { level: 9 }).byteLength;
      return { build: name, bytes: bytes.byteLength, gzipBytes };
    })
    .sort((a, b) => a.build.localeCompare(b.build));
}
