// Methods that drop rows while an answer is written: flat memory, state of one sequence alone.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LocalModel } from "../../../src/session/local-model.ts";
import type { SessionOptions } from "../../../src/types.ts";
import { answer } from "../../support/sessions.ts";
import { openToy, toyGolden } from "../../support/toys.ts";

const { ids } = toyGolden("toy-llama");
const exact = { maxTokens: 12, logprobs: 0, ignoreEos: true } as const;
const HEADROOM = 8;
const METHODS: readonly SessionOptions[] = [
  { method: "h2o", budget: { tokens: 16 } },
  { method: "tova", budget: { tokens: 16 } },
  { method: { name: "tova", interval: 4 }, budget: { tokens: 16 } },
  { method: { name: "streaming-llm", interval: 1 }, budget: { tokens: 16 } },
  { method: { name: "streaming-llm", positions: "cache", interval: 2 }, budget: { tokens: 16 } },
];

let model: LocalModel;
beforeAll(async () => {
  model = await openToy("toy-llama");
});
afterAll(() => model.dispose());

describe.each(METHODS)("$method", (options) => {
  const open = () => model.session({ ...options, headroom: HEADROOM });

  test("300 steps: the engine's memory and the rows stay flat", async () => {
    const session = open();
    const { engine } = model.parts.transformer;
    let [least, most] = [Infinity, 0];
    let n = 0;
    const run = session.generate({ tokens: ids }, { maxTokens: 300, ignoreEos: true });
    for await (const event of run) {
      if (event.type !== "token" || n++ < 10) continue;
      const { bytes } = engine.memory();
      [least, most] = [Math.min(least, bytes), Math.max(most, bytes)];
      const longest = Math.max(...session.usage().cache.perLayer.flatMap(({ rows }) => rows));
      expect(longest).toBeLessThanOrEqual(16 + 4);
    }
    expect(n).toBe(300);
    expect(most).toBe(least);
    expect(session.usage().compression.reason).toBe("step");
    session.dispose();
  });

  test("a prompt within the budget: nothing is dropped before the budget is full", async () => {
    const session = open();
    const { done } = await answer(session, { tokens: ids.slice(0, 6) }, { ...exact, maxTokens: 9 });
    expect(done.usage.cache.keptRows).toBe(done.usage.cache.fullRows);
    session.dispose();
  });

  test("after reset, and beside another session: as alone, bit for bit", async () => {
    const alone = open();
    const expected = (await answer(alone, { tokens: ids.slice(30) }, exact)).tokens;
    alone.dispose();
    const session = open();
    const other = open();
    await answer(session, { tokens: ids.slice(0, 30) }, exact);
    await answer(other, { tokens: ids.slice(5, 40) }, exact);
    session.reset();
    expect((await answer(session, { tokens: ids.slice(30) }, exact)).tokens).toEqual(expected);
    session.dispose();
    other.dispose();
  });

  test("two turns are as two turns with an aborted one between them, bit for bit", async () => {
    const turns = async (isDisturbed: boolean) => {
      const session = open();
      await answer(session, { tokens: ids.slice(0, 30) }, exact);
      if (isDisturbed) {
        const controller = new AbortController();
        const run = session.generate({ tokens: ids }, { signal: controller.signal });
        await expect(async () => {
          for await (const event of run) {
            if (event.type === "prefill" && event.done > ids.length) controller.abort();
          }
        }).rejects.toMatchObject({ code: "aborted" });
      }
      const { tokens } = await answer(session, { tokens: ids.slice(30) }, exact);
      session.dispose();
      return tokens;
    };
    expect(await turns(true)).toEqual(await turns(false));
  });
});
