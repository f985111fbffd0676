// From bytes to a model: progress, aborts, broken files, shards, engines.
import { describe, expect, test } from "vitest";
import { createEngine } from "../../src/engine/create-engine.ts";
import { createWasmEngine } from "../../src/engine/wasm/create.ts";
import type { ByteSource } from "../../src/gguf/byte-source.ts";
import { parseGguf } from "../../src/gguf/parse.ts";
import { BufferSource } from "../../src/gguf/sources.ts";
import { load } from "../../src/load.ts";
import { readModelConfig } from "../../src/model/read-config.ts";
import { nodeRuntime } from "../../src/runtime/node.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { LoadOptions, LoadProgress } from "../../src/types.ts";
import { loadWeights } from "../../src/weights/load-weights.ts";
import { type Contents, contentsOf, shardsOf } from "../support/toy-file.ts";
import { writeGguf, type WriterTensor } from "../support/gguf-writer.ts";
import { answer } from "../support/sessions.ts";
import { openToy, toyBytes, toyGolden } from "../support/toys.ts";

const bytes = toyBytes("toy-llama");
const { ids, greedy } = toyGolden("toy-llama");

const loadToy = (source: Uint8Array = bytes, options: LoadOptions = {}) =>
  load(source, { runtime: nodeRuntime, ...options });

/** A toy with one thing changed. */
async function changed(change: (contents: Contents) => void): Promise<Uint8Array> {
  const contents = await contentsOf(bytes);
  change(contents);
  return writeGguf(contents);
}

const withTensor = (name: string, change: (tensor: WriterTensor) => WriterTensor[]) =>
  changed((contents) => {
    contents.tensors = contents.tensors.flatMap((tensor) =>
      tensor.name === name ? change(tensor) : [tensor],
    );
  });

describe("progress", () => {
  test("rises to the bytes of all tensors, slice by slice", async () => {
    const events: LoadProgress[] = [];
    const model = await loadToy(bytes, { onProgress: (event) => events.push(event) });
    const loads = events.filter((event) => event.phase === "load");
    const { tensors } = await contentsOf(bytes);
    // The rope factors become part of the configuration and are no weight.
    const weights = tensors.filter(({ name }) => name !== "rope_freqs.weight");
    const totalBytes = weights.reduce((sum, { data }) => sum + (data?.byteLength ?? 0), 0);
    expect(loads).toHaveLength(weights.length);
    expect(loads.every((event) => event.totalBytes === totalBytes)).toBe(true);
    expect(loads.every(({ bytes: done }, i) => done > (loads[i - 1]?.bytes ?? 0))).toBe(true);
    expect(loads.at(-1)?.bytes).toBe(totalBytes);
    expect(model.loadMs).toBeGreaterThan(0);
    model.dispose();
  });

  test("reads the file from front to back, once", async () => {
    const source = new NotingSource(bytes, "toy", []);
    const model = await load(source, { runtime: nodeRuntime });
    const { tensors } = await parseGguf(new BufferSource(bytes));
    const weights = await weightReads(source.log);
    let end = 0;
    for (const { byteOffset, byteLength } of weights) {
      expect(byteOffset).toBeGreaterThanOrEqual(end);
      end = byteOffset + byteLength;
    }
    for (const [name, info] of tensors) {
      const isInside = ({ byteOffset, byteLength }: Read): boolean =>
        info.byteOffset >= byteOffset &&
        info.byteOffset + info.byteLength <= byteOffset + byteLength;
      expect(weights.filter(isInside).length, name).toBe(name === "rope_freqs.weight" ? 0 : 1);
    }
    model.dispose();
  });
});

interface Read {
  readonly name: string;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** The reads that come after those of the headers and of the rope factors, which the toy has. */
async function weightReads(log: readonly Read[]): Promise<readonly Read[]> {
  const { tensors } = await parseGguf(new BufferSource(bytes));
  const factors = tensors.get("rope_freqs.weight");
  const last = log.findLastIndex(({ byteLength }) => byteLength === factors?.byteLength);
  expect(last).toBeGreaterThan(0);
  return log.slice(last + 1);
}

class NotingSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly log: Read[];
  isClosed = false;
  readonly #source: BufferSource;
  constructor(data: Uint8Array, name: string, log: Read[]) {
    this.#source = new BufferSource(data, name);
    this.name = name;
    this.size = data.length;
    this.log = log;
  }
  read(byteOffset: number, byteLength: number, signal?: AbortSignal): Promise<Uint8Array> {
    this.log.push({ name: this.name, byteOffset, byteLength });
    return this.#source.read(byteOffset, byteLength, signal);
  }
  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}

describe("abort", () => {
  test.each([0, 1, 5, 20])("after %i progress events: aborted, with the reason", async (n) => {
    const controller = new AbortController();
    let events = 0;
    if (n === 0) controller.abort("why");
    const onProgress = () => ++events === n && controller.abort("why");
    await expect(loadToy(bytes, { signal: controller.signal, onProgress })).rejects.toMatchObject({
      code: "aborted",
      cause: "why",
    });
    expect(events).toBe(n);
  });

  test("leaves nothing on the engine", async () => {
    const gguf = await parseGguf(new BufferSource(bytes));
    const module = await nodeRuntime.loadKernels("simd128");
    const engine = createWasmEngine({ module, activations: "q8" });
    const controller = new AbortController();
    let events = 0;
    const options = {
      signal: controller.signal,
      onProgress: () => ++events === 9 && controller.abort("why"),
    };
    await expect(
      loadWeights(engine, gguf, readModelConfig(gguf), {
        ...options,
        onProgress: () => void options.onProgress(),
      }),
    ).rejects.toMatchObject({ code: "aborted" });
    expect(engine.memory()).toMatchObject({ bytes: 0, weightBytes: 0 });
    expect(engine.memory().peakBytes).toBeGreaterThan(0);
  });

  test("closes the source", async () => {
    const source = new NotingSource(bytes, "toy", []);
    const signal = AbortSignal.abort();
    await expect(load(source, { runtime: nodeRuntime, signal })).rejects.toMatchObject({
      code: "aborted",
    });
    const controller = new AbortController();
    const options = { signal: controller.signal, onProgress: () => controller.abort() };
    const other = new NotingSource(bytes, "toy", []);
    await expect(load(other, { ...options, runtime: nodeRuntime })).rejects.toMatchObject({
      code: "aborted",
    });
    expect(other.isClosed).toBe(true);
  });
});

describe("files that do not fit", () => {
  const CASES: readonly (readonly [string, () => Promise<Uint8Array>, string, RegExp])[] = [
    [
      "a missing tensor",
      () => withTensor("blk.2.ffn_up.weight", () => []),
      "bad-gguf",
      /tensor "blk\.2\.ffn_up\.weight" is missing/,
    ],
    [
      "a tensor of another shape",
      () =>
        withTensor("blk.1.attn_output.weight", ({ name }) => [
          { name, type: "F32", dims: [128, 64] },
        ]),
      "bad-gguf",
      /"blk\.1\.attn_output\.weight" must have dims \[128, 128\], got \[128, 64\]/,
    ],
    [
      "a norm of another length",
      () => withTensor("output_norm.weight", ({ name }) => [{ name, type: "F32", dims: [96] }]),
      "bad-gguf",
      /"output_norm\.weight" must have dims \[128\], got \[96\]/,
    ],
    [
      "rope factors of another length",
      () => withTensor("rope_freqs.weight", ({ name }) => [{ name, type: "F32", dims: [8] }]),
      "bad-gguf",
      /"rope_freqs\.weight" must have dims \[16\], got \[8\]/,
    ],
    [
      "an unknown architecture",
      () => changed(({ metadata }) => (metadata["general.architecture"] = "mamba")),
      "unsupported-model",
      /"mamba"/,
    ],
    ["a truncated file", () => Promise.resolve(bytes.slice(0, 600_000)), "bad-gguf", /\d+/],
    ["a truncated header", () => Promise.resolve(bytes.slice(0, 5000)), "bad-gguf", /\d+/],
    ["no file at all", () => Promise.resolve(new Uint8Array(100)), "bad-gguf", /./],
  ];
  test.each(CASES)("%s", async (_, make, code, message) => {
    await expect(loadToy(await make())).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as unknown,
    });
  });

  test("weights past the engine's limit: both numbers, before a byte of them is read", async () => {
    const source = new NotingSource(bytes, "toy", []);
    const gguf = await parseGguf(source);
    const module = await nodeRuntime.loadKernels("simd128");
    const engine = createWasmEngine({ module, activations: "q8", maxBytes: 1_500_000 });
    const { limitBytes } = engine.memory();
    const nReads = source.log.length;
    const events: unknown[] = [];
    const failure: unknown = await loadWeights(engine, gguf, readModelConfig(gguf), {
      onProgress: (event) => events.push(event),
    }).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: "out-of-memory",
      message: expect.stringMatching(
        new RegExp(`take \\d{6} bytes, .* has room for ${limitBytes} bytes`),
      ) as unknown,
    });
    expect(events).toEqual([]);
    expect(source.log.length).toBe(nReads);
    expect(engine.memory().bytes).toBe(0);
  });

  test("a limit that the weights just pass while loading leaks nothing", async () => {
    const gguf = await parseGguf(new BufferSource(bytes));
    const module = await nodeRuntime.loadKernels("simd128");
    const engine = createWasmEngine({ module, activations: "q8" });
    const alloc = engine.alloc.bind(engine);
    let left = 7;
    engine.alloc = (byteLength, label) => alloc(left-- > 0 ? byteLength : 2 ** 33, label); // more than wasm32 has
    await expect(loadWeights(engine, gguf, readModelConfig(gguf))).rejects.toMatchObject({
      code: "out-of-memory",
      message: expect.stringMatching(/wanted \d+ bytes, \d+ bytes left/) as unknown,
    });
    expect(engine.memory()).toMatchObject({ bytes: 0, weightBytes: 0 });
  });
});

describe("shards", () => {
  async function loadShards(n: number, log: Read[] = []) {
    const shards = shardsOf(await contentsOf(bytes), n);
    const nameOf = (i: number) => `toy-0000${i + 1}-of-0000${n}.gguf`;
    const sources = new Map(
      shards.map((data, i) => [nameOf(i), new NotingSource(data, nameOf(i), log)]),
    );
    const runtime: Runtime = {
      ...nodeRuntime,
      hardwareThreads: 1,
      openByteSource: (name) => Promise.resolve(sources.get(name as string) as ByteSource),
    };
    const model = await load(nameOf(0), { runtime, engine: "wasm", activations: "f32" });
    return { model, sources };
  }

  test.each([2, 5])("%i shards give the model of the whole file", async (n) => {
    const { model, sources } = await loadShards(n);
    const session = model.session();
    const sharded = await answer(session, { tokens: ids }, { maxTokens: 6, logprobs: 2 });
    const whole = await openToy("toy-llama");
    const other = await answer(whole.session(), { tokens: ids }, { maxTokens: 6, logprobs: 2 });
    expect(sharded.tokens).toEqual(other.tokens);
    expect(sharded.ids).toEqual(greedy.tokens.slice(0, 6));
    expect([...sources.values()].every(({ isClosed }) => isClosed)).toBe(true);
    model.dispose();
    whole.dispose();
  });

  test("are read one after the other, each from front to back", async () => {
    const log: Read[] = [];
    const { model, sources } = await loadShards(3, log);
    const names = [...sources.keys()];
    // Weights come after the headers and the rope factors.
    const weights = await weightReads(log);
    expect(weights.length).toBeGreaterThanOrEqual(3);
    const order = weights.map(({ name }) => names.indexOf(name));
    expect(order).toEqual([...order].sort((a, b) => a - b));
    for (const shard of names) {
      const offsets = weights.filter(({ name }) => name === shard).map((r) => r.byteOffset);
      expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
    }
    model.dispose();
  });
});

const withoutGpu: Runtime = { ...nodeRuntime, gpu: async () => null };

const gpuOnCpu = {
  requestAdapter: async () => ({
    info: { description: "a test", isFallbackAdapter: true },
    limits: {},
    features: new Set(),
    requestDevice: async () => Promise.reject(new Error("no device")),
  }),
};

describe("engines", () => {
  test("auto is wasm in q8; reference is f32 unless q8 is asked for", async () => {
    const auto = await loadToy(bytes, { runtime: withoutGpu });
    expect(auto.engine).toEqual({ name: "wasm", activations: "q8", nThreads: 1 });
    const reference = await loadToy(bytes, { engine: "reference" });
    expect(reference.engine).toMatchObject({ name: "reference", activations: "f32" });
    auto.dispose();
    reference.dispose();
  });

  test("webgpu where there is none: unavailable, and why", async () => {
    const options = { engine: "webgpu", runtime: withoutGpu } as const;
    await expect(loadToy(bytes, options)).rejects.toMatchObject({
      code: "unavailable",
      message: 'Cannot create engine "webgpu": this platform has no WebGPU',
    });
  });

  test("webgpu in q8: as asked; without it in f32", async () => {
    for (const activations of ["q8", "f32"] as const) {
      const model = await loadToy(bytes, { engine: "webgpu", activations, runtime: nodeRuntime });
      expect(model.engine).toEqual({ name: "webgpu", activations, nThreads: 1 });
      model.dispose();
    }
    const plain = await loadToy(bytes, { engine: "webgpu", runtime: nodeRuntime });
    expect(plain.engine.activations).toBe("f32");
    plain.dispose();
  });

  test("an adapter on the CPU: auto passes it over, by name it is taken", async () => {
    const runtime = { ...nodeRuntime, gpu: async () => gpuOnCpu } as Runtime;
    const created = await createEngine({ engine: "auto", runtime });
    expect(created?.engine.name).toBe("wasm");
    expect(created?.refusals).toEqual([
      { engine: "webgpu", reason: expect.stringContaining("computes on the CPU, got a test") },
    ]);
    created?.engine.dispose();
    const named = createEngine({ engine: "webgpu", runtime });
    await expect(named).rejects.toMatchObject({ message: /the adapter gives no device/ });
  });

  test("reference in q8: unsupported-option", async () => {
    await expect(loadToy(bytes, { engine: "reference", activations: "q8" })).rejects.toMatchObject({
      code: "unsupported-option",
    });
  });

  test("a platform without kernels: the reason of the one that was named", async () => {
    const runtime: Runtime = {
      ...nodeRuntime,
      hardwareThreads: 1,
      loadKernels: () => Promise.reject(new Error("no kernels here")),
    };
    await expect(load(bytes, { runtime, engine: "wasm" })).rejects.toThrow("no kernels here");
  });
});
