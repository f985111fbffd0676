// Sessions that are forked, or saved and restored, go on as if nothing had happened: the session that
// was not interrupted says what that is.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMethod, methodNames } from "../../../src/compression/registry.ts";
import type { LocalModel } from "../../../src/session/local-model.ts";
import type { Session, SessionOptions } from "../../../src/types.ts";
import { budgetFor, inDecode, small } from "../../support/method-run.ts";
import { answer, collect } from "../../support/sessions.ts";
import { openToy, REFERENCE, type Toy, toyGolden, TOYS, WASM_F32 } from "../../support/toys.ts";

const exact = { maxTokens: 10, logprobs: 2, ignoreEos: true } as const;

/** Leaves the answer in the middle: a token was shown and not read, and the next run is steps away. */
async function leaveHalfway(session: Session, tokens: readonly number[]): Promise<void> {
  let n = 0;
  for await (const event of session.generate({ tokens }, { maxTokens: 20, ignoreEos: true })) {
    if (event.type === "token" && ++n === 7) break;
  }
}

const counted = ({ tokens, position, cache, compression }: ReturnType<Session["usage"]>) => {
  const { peakBytes: _, ...held } = cache; // of this session alone
  return { tokens, position, compression, cache: held };
};

const ways: readonly (readonly [
  string,
  (model: LocalModel, session: Session) => Promise<Session>,
])[] = [
  ["fork", (_, session) => Promise.resolve(session.fork())],
  ["save and restore", async (model, session) => model.restore(await session.save())],
];

describe.each(TOYS)("%s", (toy: Toy) => {
  const { ids } = toyGolden(toy);
  const [first, second] = [ids.slice(0, 40), ids.slice(40)];
  let model: LocalModel;
  beforeAll(async () => {
    model = await openToy(toy);
  });
  afterAll(() => model.dispose());

  const options = methodNames().flatMap((name): SessionOptions[] => {
    const { interval: _, ...slow } = inDecode(name);
    const method = inDecode(name);
    const slower = "interval" in method ? [{ ...slow, name, interval: 4 }] : [];
    return [method, ...slower].map((spec) => ({
      method: spec,
      ...budgetFor(spec, { tokens: 12 }),
      headroom: 8,
      chunkSize: 16,
    }));
  });
  for (const codec of ["f16", "q8"] as const) {
    options.push({ method: small("knorm"), budget: { tokens: 12 }, codec, headroom: 8 });
  }
  // When rows go depends on the room that each head has.
  for (const name of ["snapkv", "h2o"]) {
    options.push({ method: small(name), budget: { bytes: 400_000 }, headroom: 8, chunkSize: 16 });
  }
  const cases = options.flatMap((one) => ways.map(([way, act]) => ({ one, way, act })));

  test.each(cases)("$way in the middle of an answer with $one.method", async ({ one, act }) => {
    const { bytes } = model.memory();
    const whole = model.session(one);
    await leaveHalfway(whole, first);
    const session = model.session(one);
    await leaveHalfway(session, first);
    const other = await act(model, session);
    expect(counted(other.usage())).toEqual(counted(session.usage()));
    const expected = await answer(whole, { tokens: second }, exact);
    expect((await answer(other, { tokens: second }, exact)).tokens).toEqual(expected.tokens);
    expect(counted(other.usage())).toEqual(counted(whole.usage()));
    // What was forked or saved is not changed by it, or by what the other did since.
    expect((await answer(session, { tokens: second }, exact)).tokens).toEqual(expected.tokens);
    for (const used of [whole, session, other]) used.dispose();
    expect(model.memory().bytes).toBe(bytes);
  });
});

describe("between engines", () => {
  const prompt = toyGolden("toy-gemma3");
  const directions = [
    { from: WASM_F32, to: REFERENCE },
    { from: REFERENCE, to: WASM_F32 },
  ] as const;
  const whole = { method: "full", codec: "f32" } as const;

  test.each(directions)(
    "from $from.engine to $to.engine: transformers' own text",
    async ({ from, to }) => {
      const [here, there] = [await openToy("toy-gemma3", from), await openToy("toy-gemma3", to)];
      const session = here.session(whole);
      await session.read({ tokens: prompt.ids.slice(0, -1) });
      const moved = await there.restore(await session.save());
      const last = { tokens: prompt.ids.slice(-1) };
      const { ids } = await answer(moved, last, { maxTokens: prompt.greedy.tokens.length });
      expect(ids).toEqual(prompt.greedy.tokens);
      for (const model of [here, there]) model.dispose();
    },
  );

  const moves = directions.flatMap((one) =>
    (["f32", "f16", "q8"] as const).map((codec) => ({ ...one, codec })),
  );
  test.each(moves)(
    "from $from.engine to $to.engine: rows in $codec are the same bits",
    async ({ from, to, codec }) => {
      const [here, there] = [await openToy("toy-qwen3", from), await openToy("toy-qwen3", to)];
      const { ids } = toyGolden("toy-qwen3");
      const session = here.session({
        method: { name: "streaming-llm", positions: "cache" },
        budget: { tokens: 20 },
        codec,
      });
      await session.read({ tokens: ids });
      const saved = await session.save();
      const again = await (await there.restore(saved)).save();
      expect(new Uint8Array(await again.arrayBuffer())).toEqual(
        new Uint8Array(await saved.arrayBuffer()),
      );
      for (const model of [here, there]) model.dispose();
    },
  );
});

describe("one session", () => {
  const { ids } = toyGolden("toy-llama");
  let model: LocalModel;
  beforeAll(async () => {
    model = await openToy("toy-llama");
  });
  afterAll(() => model.dispose());

  test("is busy with one thing at a time", async () => {
    const session = model.session();
    const events = session.generate({ tokens: ids }, exact)[Symbol.asyncIterator]();
    await events.next();
    expect(() => session.fork()).toThrow(expect.objectContaining({ code: "busy" }) as Error);
    await expect(session.save()).rejects.toMatchObject({ code: "busy" });
    await expect(session.read("a")).rejects.toMatchObject({ code: "busy" });
    await events.return?.();
    const saving = session.save();
    await expect(session.read("a")).rejects.toMatchObject({ code: "busy" });
    await expect(answer(session, "a")).rejects.toMatchObject({ code: "busy" });
    expect((await saving).size).toBeGreaterThan(0);
    session.fork().dispose();
    session.dispose();
    for (const act of [() => session.save(), () => session.read("a")]) {
      await expect(act()).rejects.toMatchObject({ code: "disposed" });
    }
    expect(() => session.fork()).toThrow(expect.objectContaining({ code: "disposed" }) as Error);
  });

  test("that read nothing can be forked and saved", async () => {
    const session = model.session();
    const restored = await model.restore(await session.save());
    const expected = await answer(session, { tokens: ids }, exact);
    expect((await answer(restored, { tokens: ids }, exact)).tokens).toEqual(expected.tokens);
  });

  test("disposed of while it is saved: the model's memory is as before", async () => {
    const { bytes } = model.memory();
    const session = model.session();
    await session.read({ tokens: ids });
    const saving = session.save().catch(() => null);
    session.dispose();
    await saving;
    expect(model.memory().bytes).toBe(bytes);
  });

  test("answers from a fork do not wait for each other", async () => {
    const session = model.session({ method: "knorm", budget: { tokens: 20 } });
    await session.read({ tokens: ids.slice(0, 40) });
    const asked = ids.slice(40, 60);
    const alone = await answer(session.fork(), { tokens: asked }, exact);
    const forks = [session.fork(), session.fork()];
    const answers = await Promise.all(forks.map((one) => answer(one, { tokens: asked }, exact)));
    for (const { tokens } of answers) expect(tokens).toEqual(alone.tokens);
  });

  test("a fork's draws are its own", async () => {
    const session = model.session();
    await session.read({ tokens: ids.slice(0, 40) });
    const fork = session.fork();
    const drawn = { maxTokens: 12, temperature: 1.5, ignoreEos: true } as const;
    const [one, two] = [
      { ...drawn, seed: 1 },
      { ...drawn, seed: 2 },
    ];
    const last = { tokens: ids.slice(40, 41) };
    const a = await answer(session, last, one);
    const b = await answer(fork, last, two);
    expect(b.ids).not.toEqual(a.ids);
  });

  test("goes with its model, forks and restored ones too", async () => {
    const own = await openToy("toy-llama");
    const session = own.session();
    await session.read({ tokens: ids });
    const fork = session.fork();
    const restored = await own.restore(await session.save());
    const restoring = own.restore(await session.save());
    own.dispose();
    await expect(restoring).rejects.toMatchObject({ code: "disposed" });
    for (const one of [session, fork, restored]) {
      await expect(one.read("a")).rejects.toMatchObject({ code: "disposed" });
    }
  });

  test("an abort in a read leaves it as it was", async () => {
    const session = model.session({ chunkSize: 8 });
    await session.read({ tokens: ids.slice(0, 20) });
    const before = session.usage();
    const controller = new AbortController();
    const reading = session.read(
      { tokens: ids.slice(20) },
      { signal: controller.signal, onProgress: () => controller.abort("enough") },
    );
    await expect(reading).rejects.toMatchObject({ code: "aborted", cause: "enough" });
    expect(session.usage().position).toBe(before.position);
    expect(session.usage().cache.bytes).toBe(before.cache.bytes);
    const { error } = await collect(session.generate({ tokens: ids.slice(20) }, exact));
    expect(error).toBeUndefined();
  });

  test("reads as generate reads, with its events", async () => {
    const one = { method: "knorm", budget: { tokens: 12 } } as const;
    const [read, generated] = [model.session(one), model.session(one)];
    const types: string[] = [];
    const usage = await read.read(
      { tokens: ids.slice(0, 40) },
      { onProgress: ({ type }) => void types.push(type) },
    );
    expect(new Set(types)).toEqual(new Set(["prefill", "compressed"]));
    expect(usage).toEqual(read.usage());
    const { events } = await answer(generated, { tokens: ids.slice(0, 40) }, exact);
    const compressed = events.find(({ type }) => type === "compressed");
    expect(compressed).toMatchObject({ usage: { keptRows: usage.cache.keptRows } });
  });

  const aware = methodNames().filter((name) => {
    const { capabilities, schedule } = createMethod(name);
    return capabilities.queryAware && schedule.prefill !== "never";
  });
  test("methods that choose by the question are told apart", () => {
    expect(aware).toContain("snapkv");
    for (const name of ["expected-attention", "keydiff", "knorm", "lagkv", "streaming-llm"]) {
      expect(aware).not.toContain(name);
    }
  });

  test.each(aware)("%s does not read without a question, and does with one", async (name) => {
    const method = inDecode(name);
    const session = model.session({ method, ...budgetFor(method, { tokens: 12 }) });
    const tokens = ids.slice(0, 40);
    await expect(session.read({ tokens })).rejects.toMatchObject({
      code: "unsupported-option",
      message: expect.stringContaining(name) as unknown,
    });
    expect(session.usage().position).toBe(0);
    await session.read({ tokens }, { segments: [{ kind: "question", begin: 32, end: 40 }] });
    expect(session.usage().position).toBe(40);
    session.dispose();
  });
});
