import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { KvasirError } from "../src/errors.ts";
import type { GoldenFolder } from "../src/parity/golden.ts";

/** Deep enough for any layout, and an end to links that lead back. */
const MAX_DEPTH = 8;

/** All files under `directory`, following links; relative, parts joined by "/". */
async function filesUnder(directory: string, prefix = "", depth = 0): Promise<string[]> {
  const entries = await readdir(join(directory, prefix));
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = prefix === "" ? entry : `${prefix}/${entry}`;
      // A link to nothing is no file.
      const info = await stat(join(directory, path)).catch(() => undefined);
      if (info?.isFile() === true) return [path];
      const isDeeper =
        info?.isDirectory() === true && depth < MAX_DEPTH && entry !== "node_modules";
      return isDeeper ? filesUnder(directory, path, depth + 1) : [];
    }),
  );
  return found.flat();
}

async function requireDirectory(directory: string, option: string): Promise<void> {
  const info = await stat(directory).catch(() => undefined);
  if (info?.isDirectory() !== true) {
    throw new KvasirError("not-found", `Cannot open ${option}: no folder "${directory}"`);
  }
}

/** @throws {KvasirError} `not-found`. */
export async function openGoldenFolder(directory: string): Promise<GoldenFolder> {
  await requireDirectory(directory, "--golden");
  const files = await filesUnder(directory);
  return {
    list: () => Promise.resolve(files),
    readJson: async (path) => {
      try {
        return JSON.parse(await readFile(join(directory, path), "utf8")) as unknown;
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new KvasirError("not-found", `Cannot read ${path}: ${why}`, { cause });
      }
    },
    readBytes: async (path) => new Uint8Array(await readFile(join(directory, path))),
  };
}

/**
 * Finds models by file name under `directories`, at any depth; a path to a file is taken as it is.
 *
 * @throws {KvasirError} `not-found` when one of the directories is not there.
 */
export async function openModelFinder(
  directories: readonly string[],
): Promise<(name: string) => Promise<string | null>> {
  const byName = new Map<string, string>();
  for (const directory of directories) {
    await requireDirectory(directory, "--models");
    for (const path of (await filesUnder(directory)).sort()) {
      const name = basename(path);
      if (!byName.has(name)) byName.set(name, join(directory, path));
    }
  }
  return async (name) => {
    const found = byName.get(name);
    if (found !== undefined) return found;
    const info = await stat(name).catch(() => undefined);
    return info?.isFile() === true ? name : null;
  };
}
