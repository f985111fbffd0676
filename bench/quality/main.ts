// A process of the comparison: the prompts of its slice, one after the other. Runs in Node and in Deno.
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { load } from "../../src/load.ts";
import { LocalModel } from "../../src/session/local-model.ts";
import { nodeRuntime } from "../../src/runtime/node.ts";
import { type Commit, describeModel, thisMachine } from "../machine.ts";
import { ask, codecOf } from "./ask.ts";
import { FAMILIES, type Family, type Item, makeItems } from "./families.ts";
import { variantsOf } from "./methods.ts";
import { indicesOf, parseSlice, partialPath, PARTIAL_VERSION } from "./partial.ts";
import { type PartialResults, type PromptResult, readPartial, writePartial } from "./partial.ts";
import { makePrompt } from "./prompt.ts";
import { isRight } from "./score.ts";
import { checkBySession } from "./session-check.ts";

const USAGE = `quality.mjs --model FILE --out FOLDER [options]
  --families LIST   default ${FAMILIES.join(",")}
  --n N             prompts of each family, default 64
  --slice I/N       every N-th prompt from the I-th on (from 0), default 0/1
  --seconds S       begin no prompt later than that
  --check N         compare the first N prompts of the slice with real sessions
  --check-keep K    only at this keep (and the full cache)
  --activations A   q8 (default) or f32
A second run with the same --out goes on where the first stopped.`;

interface Options {
  readonly model: string;
  readonly out: string;
  readonly families: readonly Family[];
  readonly n: number;
  readonly slice: ReturnType<typeof parseSlice>;
  readonly deadline: number;
  readonly nChecked: number;
  readonly checkedKeep: number | null;
  readonly activations: "q8" | "f32";
}

function readOptions(args: readonly string[]): Options {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{ model: text, out: text, families: text, n: text, slice: text, seconds: text },
      ...{ check: text, "check-keep": text, activations: text },
    },
  });
  const { model, out, activations = "q8" } = values;
  if (model === undefined || out === undefined) throw new Error(USAGE);
  if (activations !== "q8" && activations !== "f32") throw new Error(USAGE);
  const keep = values["check-keep"];
  return {
    ...{ model, out, activations },
    families: readFamilies(values.families),
    n: count("n", values.n, 64),
    slice: parseSlice(values.slice ?? "0/1"),
    deadline: performance.now() + 1000 * count("seconds", values.seconds, 1e6),
    nChecked: count("check", values.check, 0),
    checkedKeep: keep === undefined ? null : Number(keep),
  };
}

function readFamilies(text: string | undefined): readonly Family[] {
  if (text === undefined) return FAMILIES;
  const names = text.split(",");
  const known = names.flatMap((name) => FAMILIES.find((family) => family === name) ?? []);
  if (known.length === names.length) return known;
  throw new Error(`Cannot make prompts: "${text}" is not of ${FAMILIES.join(", ")}`);
}

function count(name: string, text: string | undefined, byDefault: number): number {
  const value = text === undefined ? byDefault : Number(text);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new Error(`Cannot run: --${name} must be a whole number, got "${text}"`);
}

async function main(args: readonly string[]): Promise<void> {
  const options = readOptions(args);
  const { activations } = options;
  const model = await load(options.model, { runtime: nodeRuntime, engine: "wasm", activations });
  if (!(model instanceof LocalModel)) throw new Error("Broken invariant: load is local");
  const settings = {
    model: await describeModel(options.model),
    activations,
    codec: codecOf(model),
  };
  for (const family of options.families) {
    const start: PartialResults = {
      ...{ version: PARTIAL_VERSION, family, settings },
      runtime: "Deno" in globalThis ? "deno" : "node",
      ...{ machine: thisMachine(), commit: await bundledCommit() },
      prompts: [],
    };
    await runFamily(model, family, options, start);
  }
  model.dispose();
}

/** What bundle.mjs has put beside this module. */
async function bundledCommit(): Promise<Commit> {
  const text = await readFile(new URL("./commit.json", import.meta.url), "utf8");
  return JSON.parse(text) as Commit;
}

async function runFamily(
  model: LocalModel,
  family: Family,
  options: Options,
  start: PartialResults,
): Promise<void> {
  const path = partialPath(options.out, family, options.slice);
  let partial = readPartial(path) ?? start;
  if (JSON.stringify(partial.settings) !== JSON.stringify(start.settings)) {
    throw new Error(`Cannot go on from "${path}": it was made with other settings`);
  }
  const items = makeItems(family, options.n);
  const done = new Set(partial.prompts.map(({ index }) => index));
  for (const [nth, index] of indicesOf(options.slice, options.n).entries()) {
    const item = items[index];
    if (item === undefined || done.has(index)) continue;
    if (performance.now() >= options.deadline) return;
    const result = await runPrompt(model, item, index, options, nth < options.nChecked);
    partial = { ...partial, prompts: [...partial.prompts, result] };
    writePartial(path, partial);
    console.log(line(family, result));
  }
}

async function runPrompt(
  model: LocalModel,
  item: Item,
  index: number,
  { checkedKeep }: Options,
  isChecked: boolean,
): Promise<PromptResult> {
  const prompt = makePrompt(item, model.tokenizer);
  const variants = variantsOf(index);
  const { maxTokens, answer, judge } = item;
  const { replies, prefillMs, answersMs } = await ask(model, prompt, variants, maxTokens);
  let nChecked = 0;
  for (const [i, variant] of variants.entries()) {
    const isMeant = checkedKeep === null || variant.keep === checkedKeep || variant.keep === 1;
    const reply = replies[i];
    if (!isChecked || !isMeant || reply === undefined) continue;
    await checkBySession(model, prompt, variant, reply, maxTokens);
    nChecked++;
  }
  const answers = variants.flatMap(({ label, keep }, i) => {
    const reply = replies[i];
    if (reply === undefined) return [];
    const { text, keptShare } = reply;
    return [{ label, keep, text, isRight: isRight(text, answer, judge), keptShare }];
  });
  const nTokens = prompt.tokens.length;
  return { index, nTokens, prefillMs, answersMs, nChecked, answers };
}

function line(family: Family, { index, nTokens, answers, ...rest }: PromptResult): string {
  const right = answers.map((one) => (one.isRight ? "1" : "0")).join("");
  const seconds = `${(rest.prefillMs / 1000).toFixed(1)} + ${(rest.answersMs / 1000).toFixed(1)} s`;
  const checked = rest.nChecked > 0 ? `, ${rest.nChecked} as in sessions` : "";
  return `${family} ${index}: ${nTokens} tokens, ${seconds}, ${right}${checked}`;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
