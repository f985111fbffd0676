// Where the real models lie that some tests need; `npm test` fetches them.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseGguf } from "../../src/gguf/parse.ts";
import type { GgufValue } from "../../src/gguf/value.ts";
import { openFileSource } from "../../src/runtime/node-file-source.ts";

const FILES = {
  smollm2: "SmolLM2-135M-Instruct.Q4_1.gguf",
  "gemma3-270m": "gemma-3-270m-q4_k_m.gguf",
} as const;

export type ModelName = keyof typeof FILES;

/** In $KVASIR_CACHE, else in the repository's .cache/models; undefined where neither has it. */
export function modelPath(name: ModelName): string | undefined {
  const folders = [
    process.env["KVASIR_CACHE"],
    fileURLToPath(new URL("../../.cache/models", import.meta.url)),
  ];
  return folders
    .filter((folder) => folder !== undefined && folder !== "")
    .map((folder) => join(folder as string, FILES[name]))
    .find((path) => existsSync(path));
}

/** As `modelPath`; a test that needs the model fails without it. */
export function requireModel(name: ModelName): string {
  const path = modelPath(name);
  if (path === undefined) {
    throw new Error(
      `Missing model "${FILES[name]}": \`npm test\` fetches it; or set KVASIR_CACHE to its folder`,
    );
  }
  return path;
}

/** The metadata of a GGUF file; its tensors are not read. */
export async function readMetadata(path: string): Promise<ReadonlyMap<string, GgufValue>> {
  const source = await openFileSource(path);
  try {
    return (await parseGguf(source)).metadata;
  } finally {
    await source.close?.();
  }
}
