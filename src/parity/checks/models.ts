import { type GoldenContents, type GoldenFolder, isObject, maybeObject } from "../golden.ts";
import type { ModelKey } from "../runner.ts";

/**
 * The model of a golden folder: what the caller says, else what `tokenizer.json` beside it says
 * (`_meta.model`), else what the check's own file says (`model`).
 */
export async function modelOf(
  golden: GoldenFolder,
  contents: GoldenContents,
  folder: string,
  models: ReadonlyMap<string, string>,
  own?: unknown,
): Promise<ModelKey> {
  const given = models.get(folder) ?? models.get(folder.slice(folder.lastIndexOf("/") + 1));
  if (given !== undefined) return { kind: "file", name: given };
  const tokenizer = contents.tokenizers.find((found) => found.folder === folder);
  if (tokenizer !== undefined) {
    const value = await golden.readJson(tokenizer.path);
    const name = isObject(value) ? maybeObject(value, "_meta")?.["model"] : undefined;
    if (typeof name === "string") return { kind: "file", name };
  }
  if (isObject(own) && typeof own["model"] === "string")
    return { kind: "file", name: own["model"] };
  return { kind: "unknown", why: `nothing tells the model of "${folder}"; give --model` };
}
