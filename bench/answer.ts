// One answer of a session, as a user would get it: tokens, timings, what the cache holds.
import type { SessionUsage } from "../src/types.ts";
import type { Bench } from "./cases/case.ts";
import type { ReplaySpec } from "./replay.ts";

export interface Answer {
  readonly tokens: readonly number[];
  readonly usage: SessionUsage;
}

const WARM_UP = { nTokens: 192, nDecode: 6, seed: 99 };

/** Greedy, end of text ignored; `nDecode` tokens are decoded after the one that the prompt gives. */
export async function answer(
  { model }: Bench,
  prompt: Uint32Array,
  nDecode: number,
  spec: ReplaySpec = { method: "full" },
): Promise<Answer> {
  const session = model.session({ ...spec, headroom: Math.max(64, nDecode + 1) });
  const tokens: number[] = [];
  const options = { maxTokens: nDecode + 1, ignoreEos: true };
  try {
    for await (const event of session.generate({ tokens: prompt }, options)) {
      if (event.type === "token") tokens.push(event.token);
    }
    return { tokens, usage: session.usage() };
  } finally {
    session.dispose();
  }
}

/** Lets the JIT compile and the memory grow before anything is timed. */
export async function warmUp(bench: Bench, spec?: ReplaySpec): Promise<void> {
  const { nTokens, nDecode, seed } = WARM_UP;
  await answer(bench, bench.words(nTokens, seed), nDecode, { method: "full" });
  if (spec?.budget === undefined) return;
  await answer(bench, bench.words(nTokens, seed), nDecode, {
    ...spec,
    budget: { tokens: nTokens / 2 },
  });
}

/**
 * Prompt tokens a second up to the first answer token: on every engine the token is there only when
 * all work is done, where a queue may still be full after the last call of the prefill.
 */
export function prefillRate({ usage }: Answer): number {
  return (1000 * usage.tokens.prompt) / usage.timing.timeToFirstTokenMs;
}
