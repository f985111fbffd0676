// What does not fit together is refused by name, and the model's memory is as before.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compose } from "../../../src/compression/compose.ts";
import { defineMethod, type MethodDefinition } from "../../../src/compression/define-method.ts";
import { integer } from "../../../src/compression/parameters.ts";
import { recencyScorer } from "../../../src/compression/scorers/recency.ts";
import { tokenTopK } from "../../../src/compression/selectors/token-top-k.ts";
import { LocalModel } from "../../../src/session/local-model.ts";
import { readSnapshot, writeSnapshot } from "../../../src/snapshot/file.ts";
import type { RestoreOptions, SessionOptions } from "../../../src/types.ts";
import { answer } from "../../support/sessions.ts";
import { openToy, toyGolden } from "../../support/toys.ts";

const { ids } = toyGolden("toy-llama");
const pressed = { method: "knorm", budget: { tokens: 12 } } as const;
const exact = { maxTokens: 8, logprobs: 1, ignoreEos: true } as const;

let model: LocalModel;
beforeAll(async () => {
  model = await openToy("toy-llama");
});
afterAll(() => model.dispose());

async function saved(options: SessionOptions = pressed): Promise<Blob> {
  const session = model.session(options);
  await session.read({ tokens: ids });
  const file = await session.save();
  session.dispose();
  return file;
}

/** The file with `change` made to its data, under a right checksum. */
async function changed(change: (data: Draft) => void, options?: SessionOptions): Promise<Blob> {
  const { data } = await readSnapshot(await saved(options));
  change(data as Draft);
  return writeSnapshot(data);
}

interface Draft {
  model: Record<string, unknown>;
  method: Record<string, unknown>;
  options: Record<string, unknown>;
  conversation: Record<string, unknown>;
  sequence: {
    cache: Record<string, unknown> & { layers: Record<string, unknown>[] };
    memory: Record<string, unknown>;
    tokens: Record<string, unknown>;
    pending: unknown;
  };
}

async function refusal(file: Blob, on = model, options?: RestoreOptions): Promise<unknown> {
  const { bytes } = on.memory();
  const error: unknown = await on.restore(file, options).catch((caught: unknown) => caught);
  expect(on.memory().bytes).toBe(bytes);
  return error;
}

describe("another model", () => {
  test("of another architecture", async () => {
    const other = await openToy("toy-qwen2");
    expect(await refusal(await saved(), other)).toMatchObject({
      code: "bad-snapshot",
      message: expect.stringContaining("another model") as unknown,
    });
    other.dispose();
  });

  test("of the same shape whose weights differ in one byte", async () => {
    const { loadBytes, flipped } = await weightsWithOneByteChanged();
    const other = await loadBytes(flipped);
    expect(other.parts.modelHash).not.toBe(model.parts.modelHash);
    expect(await refusal(await saved(), other)).toMatchObject({ code: "bad-snapshot" });
    other.dispose();
  });

  test("the same file again is the same model, on another engine too", async () => {
    for (const mode of [{ engine: "reference", activations: "f32" }, { engine: "wasm" }] as const) {
      const same = await openToy("toy-llama", { activations: "q8", ...mode });
      expect(same.parts.modelHash).toBe(model.parts.modelHash);
      same.dispose();
    }
  });

  test("with another vocabulary", async () => {
    const { parts } = model;
    const tokenizer = { ...parts.tokenizer, hash: "0".repeat(64) };
    const other = new LocalModel({ ...parts, tokenizer }, 0);
    expect(await refusal(await saved(), other)).toMatchObject({
      code: "bad-snapshot",
      message: expect.stringContaining("tokenizer") as unknown,
    });
  });
});

describe("methods", () => {
  const newest = (version: number): MethodDefinition =>
    defineMethod({
      id: "newest",
      version,
      parameters: { nSink: integer({ default: 2, min: 0 }) },
      create: ({ nSink }) => compose({ scorer: recencyScorer(nSink), selector: tokenTopK }),
    });

  test("of one's own come back by their definition, with their parameters", async () => {
    const own = newest(1);
    const options = { budget: { tokens: 12 }, method: own } as const;
    const session = model.session(options);
    await session.read({ tokens: ids.slice(0, 40) });
    const file = await session.save();
    const restored = await model.restore(file, { methods: [newest(3), own].slice(1) });
    const next = { tokens: ids.slice(40) };
    expect((await answer(restored, next, exact)).tokens).toEqual(
      (await answer(session, next, exact)).tokens,
    );
    for (const used of [session, restored]) used.dispose();
  });

  test("of one's own that are not given are not found", async () => {
    const file = await saved({ method: newest(1), budget: { tokens: 12 } });
    for (const options of [undefined, { methods: [] }]) {
      expect(await refusal(file, model, options)).toMatchObject({
        code: "not-found",
        message: expect.stringContaining('"newest"') as unknown,
      });
    }
  });

  test("of another version are refused", async () => {
    const file = await saved({ method: newest(1), budget: { tokens: 12 } });
    expect(await refusal(file, model, { methods: [newest(2)] })).toMatchObject({
      code: "bad-snapshot",
      message: expect.stringMatching(/newest version 1.*newest version 2/) as unknown,
    });
  });

  test("whose state is not plain data are not saved, and the session goes on", async () => {
    const odd = defineMethod({
      id: "odd",
      create: () => ({
        ...compose({ scorer: recencyScorer(0), selector: tokenTopK }),
        onSequence: () => ({ notes: new Set<string>(), memory: new Date(0) }),
      }),
    });
    const session = model.session({ method: odd, budget: { tokens: 12 } });
    await session.read({ tokens: ids.slice(0, 40) });
    await expect(session.save()).rejects.toMatchObject({ code: "unsupported-option" });
    expect((await answer(session, { tokens: ids.slice(40) }, exact)).ids).toHaveLength(8);
    session.dispose();
  });
});

const lies: readonly (readonly [string, (data: Draft) => void])[] = [
  ["a codec that its rows have not", (data) => (data.options["codec"] = "f16")],
  ["a codec that there is not", (data) => (data.sequence.cache["codec"] = "f8")],
  ["other heads", (data) => (data.sequence.cache["nKvHeads"] = 3)],
  ["another head dim", (data) => (data.sequence.cache["headDim"] = 128)],
  ["a layer less", (data) => data.sequence.cache.layers.pop()],
  [
    "no layers",
    (data) => delete (data.sequence.cache as Partial<Draft["sequence"]["cache"]>).layers,
  ],
  ["keys that are cut", (data) => shorten(data, "keys")],
  ["values that are cut", (data) => shorten(data, "values")],
  ["positions that are cut", (data) => shorten(data, "positions")],
  [
    "positions that go down",
    (data) => (layer(data)["positions"] = words(data, "positions").reverse()),
  ],
  ["a position not seen yet", (data) => (words(data, "positions")[11] = 10_000)],
  ["more rows than room", (data) => words(data, "capacity").fill(1)],
  ["more heads' lengths", (data) => (layer(data)["length"] = new Uint32Array(7))],
  ["a token past the vocabulary", (data) => (data.sequence.pending = Uint32Array.of(1e9))],
  ["a count that is none", (data) => (data.sequence.tokens["prompt"] = -1)],
  ["seen that is a text", (data) => (data.sequence.cache["seen"] = "60")],
  ["messages that are none", (data) => (data.conversation["messages"] = [{ role: "user" }])],
  [
    "no memory of the sequence",
    (data) => delete (data.sequence as Partial<Draft["sequence"]>).memory,
  ],
];

const layer = (data: Draft): Record<string, unknown> => data.sequence.cache.layers[1] ?? {};
const words = (data: Draft, name: string): Uint32Array => layer(data)[name] as Uint32Array;
function shorten(data: Draft, name: string): void {
  layer(data)[name] = (layer(data)[name] as Uint8Array).slice(4);
}

test.each(lies)("a right checksum over data with %s", async (_, change) => {
  const file = await changed(change, { ...pressed, codec: "f32" });
  expect(await refusal(file)).toMatchObject({ code: "bad-snapshot" });
});

test("room for more rows than the engine can hold is out-of-memory", async () => {
  const file = await changed((data) => words(data, "capacity").fill(2 ** 28));
  expect(await refusal(file)).toMatchObject({ code: "out-of-memory" });
});

test.each([
  ["an option out of its range", (data: Draft) => (data.options["chunkSize"] = 0), "bad-option"],
  ["a budget that is none", (data: Draft) => (data.options["budget"] = { rows: 2 }), "bad-option"],
  ["an unknown method", (data: Draft) => (data.method["id"] = "snapvk"), "not-found"],
])("a right checksum over %s", async (_, change, code) => {
  expect(await refusal(await changed(change))).toMatchObject({ code });
});

async function weightsWithOneByteChanged() {
  const { openLocal, toyBytes } = await import("../../support/toys.ts");
  const { parseGguf } = await import("../../../src/gguf/parse.ts");
  const { BufferSource } = await import("../../../src/gguf/sources.ts");
  const flipped = toyBytes("toy-llama").slice();
  const { tensors } = await parseGguf(new BufferSource(flipped));
  const { byteOffset } = tensors.get("blk.1.ffn_down.weight") ?? { byteOffset: NaN };
  flipped[byteOffset + 40] = (flipped[byteOffset + 40] ?? 0) ^ 1;
  const loadBytes = (bytes: Uint8Array) => openLocal(bytes, { engine: "wasm", activations: "f32" });
  return { loadBytes, flipped };
}
