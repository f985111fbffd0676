import {
  type GoldenContents,
  GoldenError,
  type GoldenFolder,
  type GoldenGreedy,
  type GoldenPrompt,
  greedyOf,
  isNumbers,
  isObject,
  type JsonObject,
  maybeObject,
  number,
  numbers,
  object,
  readArray,
  readObject,
} from "../golden.ts";
import {
  judgeChunks,
  judgeEqual,
  judgeOverlap,
  judgePerHead,
  judgeShared,
  type LayerSets,
  type Tolerance,
  type Verdict,
} from "../kept-sets.ts";
import { argmax, nmse } from "../metrics.ts";
import { budgetOf, mapPress, type MethodSpec, type PressMapping } from "../presses.ts";
import type {
  CheckContext,
  CheckResult,
  Job,
  ParityOptions,
  PressedCache,
  PressSpec,
} from "../runner.ts";
import { minMargin, KEPT_OVERLAP, KEPT_SET_FACTOR, PRESSED_LOGITS_NMSE } from "../tolerances.ts";
import { greedyResult } from "./forward.ts";
import { modelOf } from "./models.ts";
import { allOf, atMost, info, notDone, type Row } from "./result.ts";

/** Compression against kvpress, whole prompt compressed, f32 activations: one job a prompt. */
export async function pressJobs(
  golden: GoldenFolder,
  contents: GoldenContents,
  options: Pick<ParityOptions, "activations" | "models">,
): Promise<Job[]> {
  if (!options.activations.includes("f32")) return [];
  return Promise.all(
    contents.presses.map(async (prompt) => {
      const { folder, name } = prompt;
      const check = folder === "" ? name : `${folder}/${name}`;
      const job: Job = {
        area: "presses",
        check,
        model: await modelOf(golden, contents, folder, options.models),
        activations: "f32",
        run: (context) => checkPresses(context, prompt, check),
      };
      return job;
    }),
  );
}

/** One press at one ratio. */
interface Case {
  readonly row: Row;
  readonly spec: PressSpec;
  /** undefined for the uncompressed cache. */
  readonly press?: { readonly mapping: PressMapping; readonly entry: JsonObject };
  /** The entry whose scores judge this one. */
  readonly scored?: JsonObject;
  readonly continuation?: Continuation;
}

interface Continuation {
  readonly greedy: GoldenGreedy;
  /** `{ file, dtype, shape }` of the logits after the first token. */
  readonly step1: JsonObject | undefined;
}

async function* checkPresses(
  context: CheckContext,
  prompt: GoldenPrompt,
  check: string,
): AsyncGenerator<CheckResult> {
  const index = await readObject(context.golden, `${prompt.path}/index.json`);
  const path = `${prompt.path}/presses.json`;
  const presses = await readObject(context.golden, path);
  const ids = numbers(index, "ids");
  const cases = fullCase(index, check);
  for (const [name, press] of Object.entries(presses)) {
    if (!isObject(press)) continue;
    const params = object(press, "params");
    const mapping = mapPress(params);
    const { method } = mapping;
    const lacking = method === undefined ? String(params["class"]) : lackingName(context, method);
    if (method === undefined || lacking !== undefined) {
      const row: Row = { area: "presses", check: `${check} ${name}` };
      yield notDone(row, "", "missing", `no method for ${lacking ?? name}`);
      continue;
    }
    const ofPress = casesOf(`${check} ${name}`, method, mapping, object(press, "ratios"));
    cases.push(...(mapping.tiesAtCuts ? await onGoldenRows(context, ofPress, path) : ofPress));
  }
  yield* runCases(context, ids, cases, path, number(index, "first_token"));
}

/** One case for each ratio. */
function casesOf(
  check: string,
  method: MethodSpec,
  mapping: PressMapping,
  ratios: JsonObject,
): Case[] {
  const entries = Object.keys(ratios).map((ratio) => [ratio, object(ratios, ratio)] as const);
  const scored = entries.find(([, entry]) => isObject(entry["scores"]))?.[1];
  return entries.map(([ratio, entry]) => {
    const isJudged = scored !== undefined && (!mapping.scoresAreOfRatio || entry === scored);
    return {
      row: { area: "presses", check: `${check} ${ratio}` },
      spec: { method, budget: budgetOf(countsOf(entry), Number(ratio)) },
      press: { mapping, entry },
      ...(isJudged ? { scored } : {}),
      continuation: {
        greedy: greedyOf(entry, "greedy"),
        step1: maybeObject(entry, "step1_logits"),
      },
    };
  });
}

/** The kept rows as they are, and the continuation from the golden's choice among equal ones. */
async function onGoldenRows(
  context: CheckContext,
  cases: readonly Case[],
  path: string,
): Promise<Case[]> {
  const split = cases.map(async ({ continuation, ...judged }) => {
    if (continuation === undefined || judged.press === undefined) return [judged];
    const kept = await keptOf(context.golden, path, judged.press.entry);
    const row = { ...judged.row, check: `${judged.row.check} golden rows` };
    return [judged, { row, spec: { method: { name: "full" }, kept }, continuation }];
  });
  return (await Promise.all(split)).flat();
}

/** What kvasir lacks of a method: itself or the scorer that it wraps. */
function lackingName(context: CheckContext, method: MethodSpec): string | undefined {
  const names = [method.name, method["scorer"]].filter((name) => typeof name === "string");
  return names.find((name) => !context.host.hasMethod(name));
}

/** No compression through the same path: the base that the other cases stand on. */
function fullCase(index: JsonObject, check: string): Case[] {
  if (index["full_cache_greedy"] === undefined) return [];
  return [
    {
      row: { area: "presses", check: `${check} full` },
      spec: { method: { name: "full" } },
      continuation: {
        greedy: greedyOf(index, "full_cache_greedy"),
        step1: maybeObject(index, "full_cache_step1_logits"),
      },
    },
  ];
}

function countsOf(entry: JsonObject): readonly (readonly number[])[] {
  const counts = entry["counts"];
  if (!Array.isArray(counts) || counts.length === 0 || !counts.every(isNumbers)) {
    throw new GoldenError('"counts" is missing or not [layer][head]');
  }
  return counts;
}

async function* runCases(
  context: CheckContext,
  ids: readonly number[],
  cases: readonly Case[],
  path: string,
  firstToken: number,
): AsyncGenerator<CheckResult> {
  let i = 0;
  const specs = cases.map(({ spec }) => spec);
  for await (const pressed of context.model().press(ids, specs)) {
    const current = cases[i++];
    if (current === undefined) throw new Error("Broken invariant: more results than specs");
    try {
      yield* checkCase(context, current, pressed, path, firstToken);
    } finally {
      pressed.dispose();
    }
  }
  if (i < cases.length) throw new Error(`Broken invariant: ${i} results of ${cases.length} specs`);
}

async function* checkCase(
  context: CheckContext,
  current: Case,
  pressed: PressedCache,
  path: string,
  firstToken: number,
): AsyncGenerator<CheckResult> {
  const { row } = current;
  if (current.press !== undefined) {
    const golden = await keptOf(context.golden, path, current.press.entry);
    const scores = current.scored && (await scoresOf(context.golden, path, current.scored));
    yield* judge(row, current.press.mapping, pressed.kept, golden, scores);
  }
  if (current.continuation === undefined) return;
  const { greedy, step1: goldenLogits } = current.continuation;
  const step1 = await pressed.next(firstToken);
  const tokens = [firstToken, argmax(step1)];
  if (goldenLogits !== undefined) {
    const golden = await readArray(context.golden, path, goldenLogits, "f32");
    yield atMost(row, "step 1 logits NMSE", nmse(step1, golden.values), PRESSED_LOGITS_NMSE);
  }
  // Steps after the first close call are not compared, so they need not be computed.
  const { margins } = greedy;
  const smallest = minMargin(context.codec);
  const closeCall = margins.findIndex((margin) => margin < smallest);
  const nSteps = closeCall < 0 ? margins.length : closeCall;
  while (tokens.length < nSteps) {
    tokens.push(argmax(await pressed.next(tokens[tokens.length - 1] ?? 0)));
  }
  yield greedyResult(row, "greedy tokens", tokens, greedy, smallest);
}

/** Kept positions, [layer][head]. */
async function keptOf(
  golden: GoldenFolder,
  path: string,
  entry: JsonObject,
): Promise<readonly LayerSets[]> {
  const { values } = await readArray(golden, path, object(entry, "kept"), "u16");
  let begin = 0;
  const sets = countsOf(entry).map((ofLayer) =>
    ofLayer.map((count) => values.subarray(begin, (begin += count))),
  );
  if (begin !== values.length) {
    throw new GoldenError(`"counts" sum to ${begin}, "kept" holds ${values.length}`);
  }
  return sets;
}

/** Scores, [layer][head] f32[nTokens]. */
async function scoresOf(
  golden: GoldenFolder,
  path: string,
  entry: JsonObject,
): Promise<readonly (readonly Float32Array[])[]> {
  const { values, shape } = await readArray(golden, path, object(entry, "scores"), "f32");
  const [nLayers = 0, nKvHeads = 0, nTokens = 0] = shape;
  return Array.from({ length: nLayers }, (_, layer) =>
    Array.from({ length: nKvHeads }, (__, head) => {
      const begin = (layer * nKvHeads + head) * nTokens;
      return values.subarray(begin, begin + nTokens);
    }),
  );
}

function* judge(
  row: Row,
  mapping: PressMapping,
  kept: readonly LayerSets[],
  golden: readonly LayerSets[],
  scores: readonly (readonly Float32Array[])[] | undefined,
): Generator<CheckResult> {
  const verdicts = golden.map((want, layer) =>
    judgeLayer(mapping, kept[layer] ?? [], want, scores?.[layer]),
  );
  const total = golden.flat().reduce((sum, positions) => sum + positions.length, 0);
  const layer = verdicts.findIndex(({ nWrong }) => nWrong > 0);
  const reason = layer < 0 ? "" : `layer ${layer}, ${verdicts[layer]?.reason ?? ""}`;
  const sum = (of: (verdict: Verdict) => number): number =>
    verdicts.reduce((all, verdict) => all + of(verdict), 0);
  const nWrong = sum((verdict) => verdict.nWrong);
  yield allOf(row, "kept positions", Math.min(nWrong, total), total, reason);
  yield info(
    row,
    "kept positions that differ",
    sum((verdict) => verdict.nDiffering),
  );
}

function judgeLayer(
  { rule, noise }: PressMapping,
  kept: LayerSets,
  golden: LayerSets,
  scores: readonly Float32Array[] | undefined,
): Verdict {
  if (rule.kind === "equal") return judgeEqual(kept, golden);
  if (rule.kind === "overlap" || scores === undefined) {
    return judgeOverlap(kept, golden, KEPT_OVERLAP);
  }
  const tolerance = times(noise, KEPT_SET_FACTOR);
  switch (rule.kind) {
    case "chunks":
      // A chunk's score sums over the heads, and so does its noise.
      return judgeChunks(kept, golden, scores, times(tolerance, scores.length), rule.chunkLength);
    case "shared":
      return judgeShared(kept, golden, scores, tolerance, rule.alpha);
    case "per-head":
      return judgePerHead(kept, golden, scores, tolerance, rule.chunkLength);
  }
}

function times({ absolute, relative }: Tolerance, factor: number): Tolerance {
  return { absolute: absolute * factor, relative: relative * factor };
}
