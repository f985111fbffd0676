// What compression costs: the same continuation of the same text over the full and the compressed
// cache, every next-token distribution compared. In one process, since it is the same every time.
import { argmax, klDivergence, logProbability } from "../../src/parity/metrics.ts";
import { actsInDecode, replay, specOf } from "../replay.ts";
import type { Json } from "../job.ts";
import { type Bench, type BenchCase, check } from "./case.ts";

export interface MethodQuality {
  readonly method: string;
  /** Steps whose most likely token is the full cache's. */
  readonly agreement: number;
  /** Mean KL(full || compressed), nats. */
  readonly kl: number;
  /** It also drops rows while decoding; that is not in these numbers. */
  readonly actsInDecode: boolean;
  /** Mean negative log-probability of the text's own next token, nats. */
  readonly loss: number;
}

/** Methods that keep everything are the same cache, so they must give the same distributions. */
const MAX_FULL_KL = 1e-9;

export const quality: BenchCase = {
  name: "quality",
  measures: "next-token agreement and KL of each method against the full cache on the same text",
  metrics: {},
  isDeterministic: true,
  variants: ({ context, budget, allMethods, decode }) => [
    {
      name: `${context} tokens to ${budget}, ${decode} steps`,
      params: { nTokens: context, nDecode: decode, budgetTokens: budget, methods: allMethods },
    },
  ],
  expect: async () => null,
  async measure(bench, { nTokens, nDecode, budgetTokens, methods = [] }) {
    const all = bench.prompt(nTokens + nDecode);
    const prompt = all.slice(0, nTokens);
    const given = all.slice(nTokens);
    const full: Float32Array[] = [];
    await replay(
      bench.model,
      prompt,
      given,
      specOf(),
      (_, logits) => void full.push(logits.slice()),
    );
    const rows: MethodQuality[] = [];
    for (const method of methods) {
      const row = await compare(bench, { prompt, given, full, method, budgetTokens });
      if (row !== null) rows.push(row);
    }
    const own = rows.find(({ method }) => method === "full");
    check(
      own === undefined || (own.kl <= MAX_FULL_KL && own.agreement === 1),
      `Cannot trust quality: the full cache against itself has KL ${own?.kl} nats`,
    );
    return { metrics: {}, output: rows as unknown as Json };
  },
};

interface Comparison {
  readonly prompt: Uint32Array;
  readonly given: Uint32Array;
  readonly full: readonly Float32Array[];
  readonly method: string;
  readonly budgetTokens: number | undefined;
}

/** null: the method cannot run on this model. */
async function compare(
  { model }: Bench,
  { prompt, given, full, method, budgetTokens }: Comparison,
): Promise<MethodQuality | null> {
  let [nAgreed, kl, loss] = [0, 0, 0];
  try {
    await replay(model, prompt, given, specOf(method, budgetTokens), (step, logits) => {
      const golden = full[step] ?? logits;
      if (argmax(golden) === argmax(logits)) nAgreed++;
      kl += klDivergence(golden, logits);
      const next = given[step];
      if (next !== undefined) loss -= logProbability(logits, next);
    });
  } catch (error) {
    if (isRefusal(error)) return null;
    throw error;
  }
  const nSteps = given.length + 1;
  return {
    method,
    actsInDecode: actsInDecode(method),
    agreement: nAgreed / nSteps,
    kl: kl / nSteps,
    loss: loss / given.length,
  };
}

/** The package's own errors cross a bundle's border, so by code and not by class. */
export function isRefusal(error: unknown): error is Error {
  const codes = ["unsupported-option", "unsupported-model", "unavailable"];
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
