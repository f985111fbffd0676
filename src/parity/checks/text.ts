import type { ChatMessage } from "../../tokenizer/tokenizer.ts";
import {
  type GoldenContents,
  GoldenError,
  type GoldenFolder,
  isNumbers,
  type JsonObject,
  numbers,
  objects,
  readObject,
  text,
} from "../golden.ts";
import type { CheckContext, CheckResult, Job } from "../runner.ts";
import { modelOf } from "./models.ts";
import { allOf, type Row } from "./result.ts";

/** Counts what is wrong, and remembers the first. */
class Tally {
  #nWrong = 0;
  #total = 0;
  #first = "";

  add(isRight: boolean, describe: () => string): void {
    this.#total++;
    if (isRight) return;
    this.#nWrong++;
    if (this.#first === "") this.#first = describe();
  }

  get total(): number {
    return this.#total;
  }

  result(row: Row, metric: string): CheckResult {
    return allOf(row, metric, this.#nWrong, this.#total, this.#first);
  }
}

export async function tokenizerJobs(
  golden: GoldenFolder,
  contents: GoldenContents,
  models: ReadonlyMap<string, string>,
): Promise<Job[]> {
  return Promise.all(
    contents.tokenizers.map(async ({ folder, path }) => {
      const row: Row = { area: "tokenizer", check: folder === "" ? path : folder };
      const job: Job = {
        ...row,
        model: await modelOf(golden, contents, folder, models),
        activations: "f32",
        run: (context) => checkTokenizer(context, path, row),
      };
      return job;
    }),
  );
}

async function* checkTokenizer(
  context: CheckContext,
  path: string,
  row: Row,
): AsyncGenerator<CheckResult> {
  const { tokenizer } = context.model();
  const cases = objects(await readObject(context.golden, path), "cases");
  const plain = new Tally();
  const special = new Tally();
  const decoded = new Tally();
  for (const entry of cases) {
    const source = text(entry, "text");
    const ids = numbers(entry, "ids");
    // Absent where they equal the plain ones.
    const specialIds = isNumbers(entry["idsWithSpecial"]) ? entry["idsWithSpecial"] : ids;
    compareIds(plain, source, tokenizer.encode(source), ids);
    compareIds(special, source, tokenizer.encode(source, { parseSpecial: true }), specialIds);
    compareText(decoded, tokenizer.decode(ids), textOr(entry, "decoded", source));
    compareText(decoded, tokenizer.decode(specialIds), textOr(entry, "decodedWithSpecial", source));
  }
  yield plain.result(row, "ids");
  yield special.result(row, "ids with special tokens");
  yield decoded.result(row, "decoded text");
}

function compareIds(
  tally: Tally,
  source: string,
  measured: Uint32Array,
  golden: readonly number[],
): void {
  const isEqual = measured.length === golden.length && golden.every((id, i) => measured[i] === id);
  const shown = (ids: ArrayLike<number>): string => Array.from(ids).slice(0, 12).join(" ");
  tally.add(isEqual, () => `${quote(source)}: ${shown(measured)}, not ${shown(golden)}`);
}

function compareText(tally: Tally, measured: string, golden: string): void {
  tally.add(measured === golden, () => {
    let at = 0;
    while (at < golden.length && measured[at] === golden[at]) at++;
    const from = Math.max(0, at - 10);
    return `at ${at}: ${quote(measured.slice(from))}, not ${quote(golden.slice(from))}`;
  });
}

function textOr(entry: JsonObject, key: string, fallback: string): string {
  const value = entry[key];
  return typeof value === "string" ? value : fallback;
}

function quote(value: string): string {
  return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
}

export async function templateJobs(golden: GoldenFolder, contents: GoldenContents): Promise<Job[]> {
  return Promise.all(
    contents.templates.map(async (path) => {
      const row: Row = { area: "templates", check: path };
      const { source } = await readObject(golden, path);
      const job: Job = {
        ...row,
        model:
          typeof source === "string"
            ? { kind: "file", name: source }
            : { kind: "unknown", why: `${path} names no "source"` },
        activations: "f32",
        run: (context) => checkTemplates(context, path, row),
      };
      return job;
    }),
  );
}

const RENDERINGS = [
  { key: "rendered", options: { addGenerationPrompt: false } },
  { key: "rendered_generation_prompt", options: { addGenerationPrompt: true } },
  {
    key: "rendered_continue_final_message",
    options: { addGenerationPrompt: false, continueFinalMessage: true },
  },
] as const;

async function* checkTemplates(
  context: CheckContext,
  path: string,
  row: Row,
): AsyncGenerator<CheckResult> {
  const { chatTemplate } = context.model();
  if (chatTemplate === null) throw new GoldenError("the model has no chat template");
  const conversations = objects(await readObject(context.golden, path), "conversations");
  for (const { key, options } of RENDERINGS) {
    const tally = new Tally();
    for (const conversation of conversations) {
      const golden = conversation[key];
      if (typeof golden !== "string") continue;
      compareText(tally, chatTemplate.render(messagesOf(conversation), options), golden);
    }
    if (tally.total > 0) yield tally.result(row, key);
  }
}

function messagesOf(conversation: JsonObject): ChatMessage[] {
  return objects(conversation, "messages").map((message) => ({
    role: text(message, "role") as ChatMessage["role"],
    content: text(message, "content"),
  }));
}
