import type { Activations, CodecName } from "../../engine/engine.ts";
import {
  beside,
  type GoldenContents,
  type GoldenFolder,
  greedyOf,
  isNumbers,
  isObject,
  type JsonObject,
  numbers,
  object,
  readArray,
  readObject,
  text,
} from "../golden.ts";
import { klDivergence, nmse } from "../metrics.ts";
import type { CheckContext, CheckResult, Job } from "../runner.ts";
import { minMargin, nmseBound, TOY_LOGITS_NMSE } from "../tolerances.ts";
import { greedyResult } from "./forward.ts";
import { allOf, atMost, info, modeName, type Row } from "./result.ts";

/** Small models with random weights, all positions, in each mode of the activations. */
export async function toyJobs(
  golden: GoldenFolder,
  contents: GoldenContents,
  modes: readonly Activations[],
  codec?: CodecName,
): Promise<Job[]> {
  const jobs: Job[] = [];
  for (const path of contents.toys) {
    const entry = await golden.readJson(path);
    const file = isObject(entry) && typeof entry["file"] === "string" ? entry["file"] : undefined;
    const model =
      file === undefined
        ? ({ kind: "unknown", why: `${path} names no "file"` } as const)
        : ({ kind: "golden", path: beside(path, file) } as const);
    for (const activations of modes) {
      const name = path.slice(path.lastIndexOf("/") + 1).replace(/\.json$/, "");
      const row: Row = { area: "toys", check: `${name} ${modeName(activations, codec)}` };
      jobs.push({ ...row, model, activations, run: (context) => checkToy(context, path, row) });
    }
  }
  return jobs;
}

async function* checkToy(
  context: CheckContext,
  path: string,
  row: Row,
): AsyncGenerator<CheckResult> {
  const entry = await readObject(context.golden, path);
  const ids = numbers(entry, "ids");
  const golden = await readArray(context.golden, path, object(entry, "logits"), "f32");
  const measured = new Float32Array(golden.values.length);
  const vocabSize = golden.values.length / ids.length;
  let kl = 0;
  await context.model().logits(ids, "all", (position, logits) => {
    const begin = position * vocabSize;
    measured.set(logits.subarray(0, vocabSize), begin);
    kl += klDivergence(golden.values.subarray(begin, begin + vocabSize), logits);
  });
  const { activations } = context;
  const error = nmse(measured, golden.values);
  const bound = nmseBound(TOY_LOGITS_NMSE[activations], context.codec);
  yield atMost(row, "all logits NMSE", error, bound);
  yield info(row, "mean KL, nats", kl / ids.length);
  if (isNumbers(entry["text_ids"])) yield textIds(context, row, entry);
  if (activations !== "f32" || entry["greedy"] === undefined) return;
  const continuation = greedyOf(entry, "greedy");
  const tokens = await context.model().greedy(ids, continuation.tokens.length);
  const closeCall = minMargin(context.codec);
  yield greedyResult(row, "greedy tokens", tokens, continuation, closeCall);
}

/** The toy's own vocabulary; the golden ids begin with bos where the model wants it. */
function textIds(context: CheckContext, row: Row, entry: JsonObject): CheckResult {
  const golden = numbers(entry, "text_ids");
  const measured = context.model().tokenizer.encode(text(entry, "text"), { addBos: true });
  const differsAt = golden.findIndex((id, i) => measured[i] !== id);
  const isEqual = differsAt < 0 && measured.length === golden.length;
  const note = isEqual ? "" : `first at ${differsAt}; ${measured.length} ids, not ${golden.length}`;
  return allOf(row, "text ids", isEqual ? 0 : 1, 1, note);
}
