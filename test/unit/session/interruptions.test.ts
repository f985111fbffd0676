// Aborts, breaks, a second caller, dispose: after each the session is as if it had read exactly what
// it was shown to have read.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KvasirError } from "../../../src/errors.ts";
import type { LocalModel } from "../../../src/session/local-model.ts";
import type { GenerateEvent, Session, SessionOptions } from "../../../src/types.ts";
import { answer, collect, type TokenEvent } from "../../support/sessions.ts";
import { openToy, toyGolden } from "../../support/toys.ts";

const { ids } = toyGolden("toy-llama");
const first = ids.slice(0, 30);
const second = ids.slice(30);
const OPTIONS: readonly SessionOptions[] = [
  { chunkSize: 8 },
  { chunkSize: 8, method: { name: "snapkv", windowSize: 4 }, budget: { tokens: 12 } },
];
const exact = { maxTokens: 6, logprobs: 2, ignoreEos: true } as const;

let model: LocalModel;
beforeAll(async () => {
  model = await openToy("toy-llama");
});
afterAll(() => model.dispose());

/** Tokens with their log-probabilities, which tell caches apart that differ in a bit. */
const told = ({ tokens }: { tokens: readonly TokenEvent[] }) => tokens;

/** What a fresh session answers to `second` after it read `first` and nothing else. */
async function afterFirst(options: SessionOptions) {
  const fresh = model.session(options);
  await answer(fresh, { tokens: first }, { maxTokens: 1 });
  const expected = await answer(fresh, { tokens: second }, exact);
  fresh.dispose();
  return told(expected);
}

describe.each(OPTIONS)("with $method", (options) => {
  const interruptions: readonly (readonly [
    string,
    (session: Session) => Promise<GenerateEvent[]>,
  ])[] = [
    [
      "abort before",
      async (session) => {
        const signal = AbortSignal.abort("why");
        const { events, error } = await collect(
          session.generate({ tokens: second }, { ...exact, signal }),
        );
        expect(error).toBeInstanceOf(KvasirError);
        expect(error).toMatchObject({ code: "aborted", cause: "why" });
        return events;
      },
    ],
    [
      "abort in prefill",
      async (session) => {
        const controller = new AbortController();
        const { signal } = controller;
        const { events, error } = await collect(
          session.generate({ tokens: second }, { ...exact, signal }),
          (_, n) => n === 6 && controller.abort("in prefill"),
        );
        expect(error).toMatchObject({ code: "aborted", cause: "in prefill" });
        expect(events).toHaveLength(6);
        return events;
      },
    ],
    [
      "break in prefill",
      async (session) => {
        const events: GenerateEvent[] = [];
        for await (const event of session.generate({ tokens: second }, exact)) {
          events.push(event);
          if (events.length === 9) break;
        }
        return events;
      },
    ],
    [
      "an iterator that is never asked",
      async (session) => {
        session.generate({ tokens: second }, exact);
        return Promise.resolve([]);
      },
    ],
  ];

  test.each(interruptions)("%s: the session is as before", async (_, interrupt) => {
    const session = model.session(options);
    await answer(session, { tokens: first }, { maxTokens: 1 });
    const { bytes } = model.memory();
    const { position } = session.usage();
    const events = await interrupt(session);
    expect(events.every(({ type }) => type === "prefill")).toBe(true);
    expect(session.usage().position).toBe(position);
    expect(model.memory().bytes).toBe(bytes);
    expect(told(await answer(session, { tokens: second }, exact))).toEqual(
      await afterFirst(options),
    );
    session.dispose();
  });

  test.each(["abort", "break"])("%s in decode: what was shown counts as read", async (how) => {
    const session = model.session(options);
    const controller = new AbortController();
    const shown: number[] = [];
    const { signal } = controller;
    const run = async () => {
      for await (const event of session.generate({ tokens: first }, { ...exact, signal })) {
        if (event.type === "token") shown.push(event.token);
        if (shown.length < 3) continue;
        if (how === "break") break;
        controller.abort("in decode");
      }
    };
    if (how === "break") await run();
    else await expect(run()).rejects.toMatchObject({ code: "aborted", cause: "in decode" });
    expect(shown).toHaveLength(3);
    const fresh = model.session(options);
    const { ids: own } = await answer(fresh, { tokens: first }, { maxTokens: 3, ignoreEos: true });
    expect(shown).toEqual(own);
    expect(session.usage().position).toBe(fresh.usage().position);
    expect(told(await answer(session, { tokens: second }, exact))).toEqual(
      told(await answer(fresh, { tokens: second }, exact)),
    );
    session.dispose();
    fresh.dispose();
  });

  test("reset forgets everything but the options", async () => {
    const session = model.session(options);
    const before = told(await answer(session, { tokens: second }, exact));
    await answer(session, { tokens: first }, exact);
    session.reset();
    expect(session.usage()).toMatchObject({ position: 0, tokens: { prompt: 0, completion: 0 } });
    expect(session.usage().cache).toMatchObject({ keptRows: 0, bytes: 0 });
    expect(told(await answer(session, { tokens: second }, exact))).toEqual(before);
    session.dispose();
  });
});

describe("one answer at a time", () => {
  test("busy for a second generate and for reset, and the first goes on", async () => {
    const session = model.session();
    const events = session.generate({ tokens: first }, exact)[Symbol.asyncIterator]();
    await events.next();
    await expect(answer(session, { tokens: second })).rejects.toMatchObject({ code: "busy" });
    expect(() => session.reset()).toThrow(expect.objectContaining({ code: "busy" }) as Error);
    let last: GenerateEvent | undefined;
    for (let step = await events.next(); step.done !== true; step = await events.next()) {
      last = step.value;
    }
    expect(last?.type).toBe("done");
    await answer(session, { tokens: second }, exact);
    session.dispose();
  });
});

describe("dispose", () => {
  test("gives the memory back, twice is once, and then everything is refused", async () => {
    const { bytes } = model.memory();
    const session = model.session();
    await answer(session, { tokens: ids }, exact);
    expect(model.memory().bytes).toBeGreaterThan(bytes);
    session.dispose();
    session.dispose();
    expect(model.memory().bytes).toBe(bytes);
    expect(() => session.generate("a")).toThrow(
      expect.objectContaining({ code: "disposed" }) as Error,
    );
    expect(() => session.reset()).toThrow(expect.objectContaining({ code: "disposed" }) as Error);
  });

  test.each([
    ["prefill", 3],
    ["decode", 18],
  ])("in the middle of %s: memory returns though nobody asks, who asks is told", async (_, n) => {
    const { bytes } = model.memory();
    const session = model.session({ chunkSize: 8, method: "streaming-llm", budget: { tokens: 9 } });
    const events = session.generate({ tokens: first }, exact)[Symbol.asyncIterator]();
    for (let i = 0; i < n; i++) await events.next();
    session.dispose();
    await new Promise((resolve) => setTimeout(resolve));
    expect(model.memory().bytes).toBe(bytes);
    await expect(events.next()).rejects.toMatchObject({ code: "disposed" });
    expect(model.memory().bytes).toBe(bytes);
  });

  test("while a step is under way", async () => {
    const { bytes } = model.memory();
    const session = model.session({ chunkSize: 8 });
    const events = session.generate({ tokens: first }, exact)[Symbol.asyncIterator]();
    const step = events.next();
    session.dispose();
    await step;
    await expect(events.next()).rejects.toMatchObject({ code: "disposed" });
    expect(model.memory().bytes).toBe(bytes);
  });

  test("on the event done ends the loop without an error", async () => {
    const session = model.session();
    const { error, events } = await collect(session.generate({ tokens: first }, exact), (event) => {
      if (event.type === "done") session.dispose();
    });
    expect(error).toBeUndefined();
    expect(events.at(-1)?.type).toBe("done");
  });

  test.each(["wasm", "reference"] as const)(
    "of the model ends its sessions, on %s",
    async (engine) => {
      const own = await openToy("toy-llama", { engine, activations: "f32" });
      const [idle, busy] = [own.session(), own.session({ chunkSize: 8 })];
      const events = busy.generate({ tokens: first }, exact)[Symbol.asyncIterator]();
      await events.next();
      own.dispose();
      own.dispose();
      await expect(events.next()).rejects.toMatchObject({ code: "disposed" });
      const refused = expect.objectContaining({ code: "disposed" }) as Error;
      expect(() => idle.generate("a")).toThrow(refused);
      expect(() => own.session()).toThrow(refused);
    },
  );

  test("repeated sessions take no more of the platform's memory", async () => {
    const reserved: number[] = [];
    for (let i = 0; i < 12; i++) {
      const session = model.session({ method: "streaming-llm", budget: { keep: 0.3 } });
      await answer(session, { tokens: ids }, exact);
      session.dispose();
      reserved.push(model.memory().reservedBytes);
    }
    expect(new Set(reserved).size).toBe(1);
  });
});
