// What a command gives the model to read: a file's text, and the messages around it.
import { readFile } from "node:fs/promises";
import { KvasirError } from "../src/errors.ts";
import type { ChatMessage } from "../src/tokenizer/tokenizer.ts";
import type { GenerateInput, Model } from "../src/types.ts";
import type { CommandIo } from "./command.ts";

/** @throws {KvasirError} `not-found`. */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new KvasirError("not-found", `Cannot read --file: ${why}`, { cause });
  }
}

/**
 * `text` as the user's message, or as it is where that is asked for or there is no template.
 * @throws {KvasirError} `unsupported-option` for a system message without a template.
 */
export function inputOf(
  model: Model,
  text: string,
  { raw, system }: { readonly raw: boolean; readonly system?: string | undefined },
  io: CommandIo,
): GenerateInput {
  if (raw) return text;
  if (model.chatTemplate === null) {
    if (system !== undefined) {
      throw new KvasirError(
        "unsupported-option",
        "Cannot use --system: the model has no chat template",
      );
    }
    io.err("note: the model has no chat template, so the prompt is given as it is\n");
    return text;
  }
  const before: ChatMessage[] = system === undefined ? [] : [{ role: "system", content: system }];
  return [...before, { role: "user", content: text }];
}
