import {
  type GoldenContents,
  type GoldenFolder,
  type GoldenPrompt,
  greedyOf,
  isNumbers,
  type JsonObject,
  numbers,
  object,
  readArray,
  readObject,
} from "../golden.ts";
import { argmax, compareGreedy, klDivergence, logProbability, nmse } from "../metrics.ts";
import type { CheckContext, CheckResult, Job, ParityOptions } from "../runner.ts";
import {
  LAST_LOGITS_NMSE,
  minMargin,
  nllBound,
  nmseBound,
  PERPLEXITY_MIN_TOKENS,
  PERPLEXITY_RELATIVE,
} from "../tolerances.ts";
import { modelOf } from "./models.ts";
import { allOf, atMost, info, modeName, notDone, type Row } from "./result.ts";

/** Prompts through the uncompressed model, in each mode of the activations. */
export async function forwardJobs(
  golden: GoldenFolder,
  contents: GoldenContents,
  options: Pick<ParityOptions, "activations" | "codec" | "models">,
): Promise<Job[]> {
  const jobs: Job[] = [];
  for (const prompt of contents.forward) {
    const entry = await golden.readJson(prompt.path);
    const model = await modelOf(golden, contents, prompt.folder, options.models, entry);
    for (const activations of options.activations) {
      const mode = modeName(activations, options.codec);
      const row: Row = { area: "forward", check: `${checkName(prompt)} ${mode}` };
      jobs.push({
        ...row,
        model,
        activations,
        run: (context) => checkPrompt(context, prompt, row),
      });
    }
  }
  for (const path of contents.internals) jobs.push(notRunJob(path));
  return jobs;
}

function checkName({ folder, name }: GoldenPrompt): string {
  return folder === "" ? name : `${folder}/${name}`;
}

function notRunJob(path: string): Job {
  const row: Row = { area: "forward", check: path.replace(/\.json$/, "") };
  return {
    ...row,
    activations: "f32",
    run: async function* (): AsyncGenerator<CheckResult> {
      yield notDone(row, "", "not run", "internals are for bisecting by hand");
    },
  };
}

interface Measured {
  lastLogits: Float32Array;
  /** f64[nTokens - 1], nats. */
  logProbabilities: Float64Array;
  /** u32[nTokens]. */
  best: Uint32Array;
}

async function* checkPrompt(
  context: CheckContext,
  prompt: GoldenPrompt,
  row: Row,
): AsyncGenerator<CheckResult> {
  const entry = await readObject(context.golden, prompt.path);
  if (!isNumbers(entry["ids"])) {
    yield notDone(row, "", "not run", "no token ids in the file");
    return;
  }
  const ids = numbers(entry, "ids");
  const measured = await readPrompt(context, ids);
  const { activations } = context;
  const golden = await readArray(context.golden, prompt.path, object(entry, "last_logits"), "f32");
  const error = nmse(measured.lastLogits, golden.values);
  const bound = nmseBound(LAST_LOGITS_NMSE[activations], context.codec);
  yield atMost(row, "last logits NMSE", error, bound);
  const kl = klDivergence(golden.values, measured.lastLogits);
  yield info(row, "last logits KL, nats", kl);
  if (isNumbers(entry["next_logprob"])) {
    yield likelihood(row, context, measured, numbers(entry, "next_logprob"));
  }
  if (activations !== "f32") return;
  if (isNumbers(entry["argmax"])) {
    yield bestTokens(row, measured, entry, minMargin(context.codec));
  }
  if (entry["greedy"] !== undefined) yield await greedy(context, row, ids, entry);
}

async function readPrompt(context: CheckContext, ids: readonly number[]): Promise<Measured> {
  const measured: Measured = {
    lastLogits: new Float32Array(0),
    logProbabilities: new Float64Array(Math.max(0, ids.length - 1)),
    best: new Uint32Array(ids.length),
  };
  await context.model().logits(ids, "all", (position, logits) => {
    measured.best[position] = argmax(logits);
    const next = ids[position + 1];
    if (next === undefined) measured.lastLogits = logits.slice();
    else measured.logProbabilities[position] = logProbability(logits, next);
  });
  return measured;
}

function likelihood(
  row: Row,
  { activations, codec }: Pick<CheckContext, "activations" | "codec">,
  measured: Measured,
  golden: readonly number[],
): CheckResult {
  if (measured.logProbabilities.length !== golden.length) {
    return allOf(row, "log-probabilities", Infinity, golden.length, "another number of tokens");
  }
  const mean = (values: Iterable<number>): number => {
    let sum = 0;
    for (const value of values) sum += value;
    return -sum / golden.length;
  };
  const nll = mean(measured.logProbabilities);
  const goldenNll = mean(golden);
  if (activations === "f32") {
    const relative = Math.abs(nll - goldenNll) / Math.abs(goldenNll);
    return atMost(row, "mean NLL, relative", relative, nllBound(codec));
  }
  const relative = Math.abs(Math.exp(nll - goldenNll) - 1);
  const metric = "perplexity, relative";
  return golden.length + 1 >= PERPLEXITY_MIN_TOKENS
    ? atMost(row, metric, relative, PERPLEXITY_RELATIVE)
    : info(row, metric, relative);
}

/** The likeliest token after each position, where the golden choice is no close call. */
function bestTokens(
  row: Row,
  measured: Measured,
  entry: JsonObject,
  closeCall: number,
): CheckResult {
  const best = numbers(entry, "argmax");
  const margins = isNumbers(entry["argmax_margin"]) ? entry["argmax_margin"] : undefined;
  let total = 0;
  let nWrong = 0;
  let note = "";
  best.forEach((token, position) => {
    if ((margins?.[position] ?? Infinity) < closeCall) return;
    total++;
    if (measured.best[position] === token) return;
    nWrong++;
    if (note === "") note = `position ${position}: ${measured.best[position]}, not ${token}`;
  });
  return allOf(row, "best tokens", nWrong, total, note);
}

async function greedy(
  context: CheckContext,
  row: Row,
  ids: readonly number[],
  entry: JsonObject,
): Promise<CheckResult> {
  const golden = greedyOf(entry, "greedy");
  const tokens = await context.model().greedy(ids, golden.tokens.length);
  return greedyResult(row, "greedy tokens", tokens, golden, minMargin(context.codec));
}

/** All steps before the first whose margin is below `closeCall` must agree. */
export function greedyResult(
  row: Row,
  metric: string,
  tokens: ArrayLike<number>,
  golden: ReturnType<typeof greedyOf>,
  closeCall: number,
): CheckResult {
  const { nCompared, differsAt } = compareGreedy(tokens, golden, closeCall);
  if (nCompared === 0) return notDone(row, metric, "not run", "the first step is a close call");
  if (differsAt === undefined) return allOf(row, metric, 0, nCompared);
  const note = `step ${differsAt}: ${tokens[differsAt]}, not ${golden.tokens[differsAt]}`;
  return allOf(row, metric, nCompared - differsAt, nCompared, note);
}
