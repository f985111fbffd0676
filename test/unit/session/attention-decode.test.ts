// The prompt frozen and the answer evicted apart; layers that take over a choice: on a toy.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LocalModel } from "../../../src/session/local-model.ts";
import type { SessionOptions } from "../../../src/types.ts";
import { Sequence } from "../../support/sequence.ts";
import { answer } from "../../support/sessions.ts";
import { openToy, toyGolden } from "../../support/toys.ts";

const golden = toyGolden("toy-llama");
let model: LocalModel;
beforeAll(async () => {
  model = await openToy("toy-llama");
});
afterAll(() => model.dispose());

/** Most rows that a head holds after `maxTokens` steps. */
async function longest(options: SessionOptions, maxTokens: number): Promise<number> {
  const session = model.session(options);
  const { done } = await answer(session, { tokens: golden.ids }, { maxTokens, ignoreEos: true });
  expect(done.reason).toBe("length");
  const { perLayer } = session.usage().cache;
  session.dispose();
  return Math.max(...perLayer.flatMap(({ rows }) => [...rows]));
}

describe("a budget of the prompt", () => {
  const frozen = golden.ids.length / 2;

  test.each([{ tokens: frozen }, { keep: 0.5 }])(
    "scope adds a window for the answer to %o",
    async (budget) => {
      const method = { name: "scope", windowSize: 8, decodeRows: 6, decodeRecent: 3 };
      expect(await longest({ method, budget }, 30)).toBe(frozen + 6);
    },
  );

  test.each([{ tokens: frozen }, { keep: 0.5 }])(
    "shotkv adds a share of the answer to %o",
    async (budget) => {
      const method = { name: "shotkv", windowSize: 8, scoredBy: "window", keepDecode: 0.5 };
      const rows = await longest({ method, budget }, 31);
      // The last token is not read.
      expect(rows).toBe(frozen + 15);
    },
  );

  test("in bytes it is refused, which would not hold", () => {
    const options = { method: "scope", budget: { bytes: 1e6 } } as const;
    expect(() => model.session(options)).toThrow(
      expect.objectContaining({ code: "unsupported-option" }) as Error,
    );
  });
});

test("chunkkv's groups of layers keep the same rows", async () => {
  const kept = async (reuse: number) => {
    const method = { name: "chunkkv", windowSize: 8, reuse };
    const sequence = new Sequence(model, { method, budget: { tokens: 24 } });
    await sequence.prefill(golden.ids);
    const layers = await Promise.all(
      Array.from({ length: model.config.nLayers }, (_, l) => sequence.cache.keptPositions(l)),
    );
    sequence.dispose();
    return layers;
  };
  const layers = await kept(2);
  expect(layers[1]).toEqual(layers[0]);
  expect(layers[3]).toEqual(layers[2]);
  expect(layers[2]).not.toEqual(layers[0]);
  expect((await kept(1))[0]).toEqual(layers[0]);
});
