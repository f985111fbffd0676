// One long reading with decodes on the way: at each length a fork answers, several times, and the reading
// goes on. So a decode at 7,500 tokens costs one prefill for all rounds of it, and so do the others.
import type { Session } from "../../src/types.ts";
import { KvCache } from "../../src/cache/kv-cache.ts";
import { warmUp } from "../answer.ts";
import type { Json, Params } from "../job.ts";
import { greedyFrom, readInto, type ReplaySpec } from "../replay.ts";
import { median } from "../statistics.ts";
import { type Bench, type BenchCase, type Metric, sameTokens } from "./case.ts";
import { decodeRateMetric, prefillRateMetric } from "./metrics.ts";

/** Tokens of each timed decode, and how often it is done. */
const N_DECODE = 48;
const REPEATS = 3;
/** Answer tokens that are checked by the other path, which takes a prompt's step for each. */
const N_CHECKED = 8;
const KEEP = 0.1;
/** Keeps by keys alone, so that a text can be read before there is a question. */
const METHOD = "knorm";

export const decodeMetric = (nTokens: number): string => `decodeAt${nTokens}`;
export const COMPRESSED_METRIC = "decodeCompressed";

export const contexts: BenchCase = {
  name: "contexts",
  measures:
    "prefill of a long text, decode at lengths of it, and over a tenth of its rows (minutes)",
  metrics: {},
  variants({ contexts: lengths, prefills, methods }) {
    const ascending = [...new Set(lengths)].sort((a, b) => a - b);
    const longest = ascending.at(-1) ?? 1;
    const wanted = Math.max(...prefills);
    const nPrefill = ascending.includes(wanted) ? wanted : longest;
    return [
      {
        name: `${longest} tokens`,
        params: {
          nTokens: longest,
          nDecode: N_DECODE,
          nPrefill,
          contexts: ascending,
          method: (methods.length === 1 ? methods[0] : undefined) ?? METHOD,
          budgetTokens: Math.round(KEEP * longest),
        },
        metrics: metricsOf(ascending, nPrefill),
      },
    ];
  },
  async expect(bench, params) {
    const prompt = bench.words(params.nTokens);
    const full = await expectOver(bench, prompt, params.contexts ?? [], { method: "full" });
    const compressed = await expectOver(bench, prompt, [params.nTokens], specOf(params));
    return [...full, ...compressed];
  },
  async measure(bench, params, expected) {
    await warmUp(bench, specOf(params));
    const { contexts: lengths = [], nPrefill } = params;
    const prompt = bench.words(params.nTokens);
    const metrics: Record<string, number> = {};
    const outputs: number[][] = [];
    let readMs = 0;
    await withSession(bench, { method: "full" }, async (session) => {
      let nRead = 0;
      for (const nTokens of lengths) {
        const started = performance.now();
        await session.read({ tokens: prompt.slice(nRead, nTokens - 1) });
        readMs += performance.now() - started;
        nRead = nTokens - 1;
        if (nTokens === nPrefill) metrics["prefillTokensPerSecond"] = (1000 * nRead) / readMs;
        const { rate, tokens } = await decodeFork(session, prompt[nRead] ?? 0);
        metrics[decodeMetric(nTokens)] = rate;
        outputs.push(tokens);
      }
    });
    await withSession(bench, specOf(params), async (session) => {
      await session.read({ tokens: prompt.slice(0, -1) });
      const { rate, tokens } = await decodeFork(session, prompt.at(-1) ?? 0);
      metrics[COMPRESSED_METRIC] = rate;
      outputs.push(tokens);
    });
    const beginnings = outputs.map((tokens) => tokens.slice(0, N_CHECKED));
    sameTokens("the answers", beginnings.flat(), Array.isArray(expected) ? expected.flat() : null);
    return { metrics, output: outputs };
  },
};

function metricsOf(lengths: readonly number[], nPrefill: number): Record<string, Metric> {
  return {
    prefillTokensPerSecond: { ...prefillRateMetric, title: `prefill ${nPrefill}` },
    ...Object.fromEntries(
      lengths.map((n) => [decodeMetric(n), { ...decodeRateMetric, title: `decode at ${n}` }]),
    ),
    [COMPRESSED_METRIC]: { ...decodeRateMetric, title: `decode at the last, keep ${KEEP}` },
  };
}

function specOf({ method = METHOD, budgetTokens = 1 }: Params): ReplaySpec {
  return { method, budget: { tokens: budgetTokens } };
}

async function withSession(
  { model }: Bench,
  spec: ReplaySpec,
  use: (session: Session) => Promise<void>,
): Promise<void> {
  const session = model.session({ ...spec, headroom: N_DECODE + 16 });
  try {
    await use(session);
  } finally {
    session.dispose();
  }
}

/** The median rate of several answers to the same, and their tokens. */
async function decodeFork(
  session: Session,
  last: number,
): Promise<{ readonly rate: number; readonly tokens: number[] }> {
  const rates: number[] = [];
  let tokens: number[] = [];
  for (let i = 0; i < REPEATS; i++) {
    const fork = session.fork();
    tokens = [];
    try {
      const options = { maxTokens: N_DECODE + 1, ignoreEos: true };
      for await (const event of fork.generate({ tokens: [last] }, options)) {
        if (event.type === "token") tokens.push(event.token);
      }
      rates.push(fork.usage().timing.decodeTokensPerSecond);
    } finally {
      fork.dispose();
    }
  }
  return { rate: median(rates), tokens };
}

/** Greedy tokens after each length, by a cache and the prompt's path alone. */
async function expectOver(
  { model }: Bench,
  prompt: Uint32Array,
  lengths: readonly number[],
  spec: ReplaySpec,
): Promise<Json[]> {
  const { engine, config } = model.parts.transformer;
  const { nLayers, nKvHeads, headDim } = config;
  const { codec } = engine.defaults;
  const cache = new KvCache(engine, { nLayers, nKvHeads, headDim, codec, headroom: N_CHECKED + 1 });
  const outputs: Json[] = [];
  try {
    for (const nTokens of lengths) {
      const nRead = nTokens - 1;
      await readInto(model, cache, prompt.slice(cache.seen, nRead), spec, () => undefined);
      // Strict: the last token is read again over what was kept.
      cache.truncate(nRead - 1);
      const last = prompt.slice(nRead - 1, nRead);
      await readInto(model, cache, last, { method: "full" }, () => undefined);
      outputs.push(await greedyFrom(model, cache, prompt[nTokens - 1] ?? 0, N_CHECKED));
    }
    return outputs;
  } finally {
    cache.dispose();
  }
}
