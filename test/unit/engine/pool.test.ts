// The thread pool with workers of Node, bundled from source: the same bits as one thread, and what
// happens when a worker is late, fails or dies.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { buildSync } from "esbuild";
import { afterAll, describe, expect, it } from "vitest";
import type { Engine } from "../../../src/engine/engine.ts";
import { createThreadedWasmEngine, createWasmEngine } from "../../../src/engine/wasm/create.ts";
import { createHostKernels } from "../../../src/engine/wasm/select-kernels.ts";
import { parseGguf } from "../../../src/gguf/parse.ts";
import { BufferSource } from "../../../src/gguf/sources.ts";
import { load } from "../../../src/load.ts";
import { LocalModel } from "../../../src/session/local-model.ts";
import { readModelConfig } from "../../../src/model/read-config.ts";
import { Transformer } from "../../../src/model/transformer.ts";
import { nodeRuntime } from "../../../src/runtime/node.ts";
import type { KernelWorker, Runtime } from "../../../src/runtime/runtime.ts";
import { createTokenizer } from "../../../src/tokenizer/from-gguf.ts";
import { loadWeights } from "../../../src/weights/load-weights.ts";
import { requireModel } from "../../support/models.ts";
import { isSameBits, Sequence } from "../../support/sequence.ts";
import { type Toy, toyBytes, toyGolden } from "../../support/toys.ts";

const folder = mkdtempSync(join(tmpdir(), "kvasir-pool-"));
afterAll(() => rmSync(folder, { recursive: true }));

const root = process.cwd();
const poolFolder = join(root, "src", "engine", "wasm", "pool");
const start = `
  import { parentPort } from "node:worker_threads";
  import { runPoolWorker } from ${JSON.stringify(join(poolFolder, "pool-worker.ts"))};
  import { JOBS } from ${JSON.stringify(join(poolFolder, "jobs.ts"))};
`;

/** A worker's script, with the pool's parts in scope. */
function script(name: string, code: string): string {
  const [source, out] = [join(folder, `${name}.ts`), join(folder, `${name}.mjs`)];
  writeFileSync(source, start + code);
  buildSync({ entryPoints: [source], outfile: out, bundle: true, format: "esm", platform: "node" });
  return out;
}

const runs = script("runs", `parentPort.once("message", (init) => runPoolWorker(init));`);
// Ready, and then never seen again: it holds no chunk.
const sleeps = script(
  "sleeps",
  `parentPort.once("message", ({ memory, control }) => {
     const words = new Int32Array(memory.buffer, control, 16);
     Atomics.add(words, 8, 1);
     Atomics.wait(words, 15, 0);
   });`,
);
const fails = script(
  "fails",
  `JOBS.fill(() => { throw new Error("trap"); });
   parentPort.once("message", (init) => runPoolWorker(init));`,
);
// As a build would that knows the words otherwise, and as one that knows of no versions.
const ofLaterBuild = script(
  "later",
  `parentPort.once("message", (init) => {
     new Int32Array(init.memory.buffer, init.control, 16)[7] += 1;
     runPoolWorker(init);
   });`,
);
const ofOldBuild = script(
  "old",
  `parentPort.once("message", ({ memory, control }) => {
     const words = new Int32Array(memory.buffer, control, 16);
     Atomics.add(words, 5, 1);
     Atomics.wait(words, 0, 0);
   });`,
);
const breaks = script("breaks", `throw new Error("no start");`);

const workers: Worker[] = [];
afterAll(() => Promise.all(workers.map((worker) => worker.terminate())));

function spawn(path: string): KernelWorker {
  const worker = new Worker(path);
  workers.push(worker);
  return {
    post: (message) => worker.postMessage(message),
    onFailure(callback) {
      worker.once("error", (error) => callback(error.message));
      worker.once("exit", (status) => callback(`exit status ${status}`));
    },
    terminate: () => void worker.terminate(),
  };
}

const module = await nodeRuntime.loadKernels("simd128");
const shared = await nodeRuntime.loadKernels("simd128-threads");

async function threaded(paths: readonly string[]): Promise<Engine> {
  const engine = await createThreadedWasmEngine({
    module: shared,
    activations: "q8",
    workers: paths.map(spawn),
  });
  if (engine === null) throw new Error("Cannot test: the pool does not start");
  return engine;
}

/** Reads into what it is given, and notes whose memory that is. */
class IntoSource extends BufferSource {
  nShared = 0;

  async readInto(byteOffset: number, out: Uint8Array): Promise<void> {
    if (out.buffer instanceof SharedArrayBuffer) this.nShared++;
    out.set(await this.read(byteOffset, out.byteLength));
  }
}

async function openOn(
  engine: Engine,
  toy: Toy,
  source: BufferSource = new BufferSource(toyBytes(toy)),
): Promise<LocalModel> {
  const gguf = await parseGguf(source);
  const config = readModelConfig(gguf);
  const weights = await loadWeights(engine, gguf, config);
  const tokenizer = createTokenizer(gguf.metadata);
  const kernels = createHostKernels(module);
  const transformer = new Transformer(engine, config, weights);
  const parts = { transformer, tokenizer, chatTemplate: null, kernels, modelHash: weights.hash };
  return new LocalModel(parts, 0);
}

async function bitsOf(engine: Engine, toy: Toy, source?: BufferSource): Promise<Float32Array[]> {
  const model = await openOn(engine, toy, source);
  const options = { method: { name: "snapkv", windowSize: 8 }, budget: { tokens: 20 } };
  const sequence = new Sequence(model, options);
  const logits = await sequence.read(toyGolden(toy).ids);
  const tokens = Float32Array.from(await sequence.greedy(6));
  const bits = [logits, tokens, await sequence.decoder.logits(), ...(await sequence.stored())];
  sequence.dispose();
  model.dispose();
  return bits as Float32Array[];
}

const plain = (toy: Toy): Promise<Float32Array[]> =>
  bitsOf(createWasmEngine({ module, activations: "q8" }), toy);

describe("the pool", () => {
  it.each([
    ["toy-llama", 1],
    ["toy-gemma3", 2],
    ["toy-qwen3", 3],
  ] as const)("%s with %i workers: the bits of one thread", async (toy, nWorkers) => {
    const engine = await threaded(Array<string>(nWorkers).fill(runs));
    expect(engine.nThreads).toBe(nWorkers + 1);
    expect(isSameBits(await bitsOf(engine, toy), await plain(toy))).toBe(true);
  });

  it.each(["toy-llama", "toy-gemma3"] as const)(
    "%s read into the engine's own memory: the bits of one thread",
    async (toy) => {
      const source = new IntoSource(toyBytes(toy));
      const bits = await bitsOf(await threaded([runs]), toy, source);
      expect(source.nShared).toBeGreaterThan(0);
      expect(isSameBits(bits, await plain(toy))).toBe(true);
      // A memory of its own may move: nothing is read into it.
      const alone = new IntoSource(toyBytes(toy));
      const engine = createWasmEngine({ module, activations: "q8" });
      expect(isSameBits(await bitsOf(engine, toy, alone), bits)).toBe(true);
      expect(alone.nShared).toBe(0);
    },
  );

  it("does not wait for a worker that took nothing", async () => {
    const engine = await threaded([sleeps, runs]);
    expect(isSameBits(await bitsOf(engine, "toy-llama"), await plain("toy-llama"))).toBe(true);
  });
});

describe("a worker of the pool", () => {
  it("that fails in a job is an error at once", async () => {
    const engine = await threaded([fails]);
    await expect(bitsOf(engine, "toy-llama")).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("a worker of the thread pool stopped"),
    });
  });

  it("that ends between two jobs is an error of the next answer", async () => {
    const engine = await threaded([runs, runs]);
    const model = await openOn(engine, "toy-llama");
    const session = model.session();
    const events = session.generate("One lamp", { maxTokens: 1000, ignoreEos: true });
    for (let i = 0; i < 3; i++) await events[Symbol.asyncIterator]().next();
    await workers.at(-1)?.terminate();
    const reading = (async () => {
      for await (const event of events) void event;
    })();
    await expect(reading).rejects.toMatchObject({ code: "unavailable" });
    model.dispose();
  });

  const runtimeWith = (spawnKernelWorker: () => KernelWorker | null): Runtime => ({
    ...{ name: "node", hardwareThreads: 2, spawnKernelWorker },
    loadKernels: (build) => nodeRuntime.loadKernels(build),
    openByteSource: (source) => nodeRuntime.openByteSource(source),
  });

  it.each([
    ["a later", ofLaterBuild],
    ["an old", ofOldBuild],
  ])("of %s build is version-mismatch, whatever engine may be left", async (_, path) => {
    for (const engine of ["wasm", "auto"] as const) {
      const runtime = runtimeWith(() => spawn(path));
      const loading = load(toyBytes("toy-llama"), { runtime, engine, threads: 2 });
      await expect(loading).rejects.toMatchObject({ code: "version-mismatch" });
    }
  });

  it("that cannot start leaves the model on one thread", async () => {
    for (const spawnKernelWorker of [() => spawn(breaks), () => null]) {
      const runtime = runtimeWith(spawnKernelWorker);
      const model = await load(toyBytes("toy-llama"), { runtime, threads: 2 });
      expect(model.engine.nThreads).toBe(1);
      model.dispose();
    }
  });
});

describe("threads by default", () => {
  /** Workers that a load asks for; it gets none. */
  async function nAsked(source: string | Uint8Array, threads?: number): Promise<number> {
    let n = 0;
    const runtime: Runtime = {
      ...{ name: "node", hardwareThreads: 4 },
      loadKernels: (build) => nodeRuntime.loadKernels(build),
      openByteSource: (from) => nodeRuntime.openByteSource(from),
      spawnKernelWorker: () => {
        n++;
        return null;
      },
    };
    const model = await load(source, { runtime, ...(threads !== undefined && { threads }) });
    expect(model.engine.nThreads).toBe(1);
    model.dispose();
    return n;
  }

  it("are several for a model that gains by them, one for a small one", async () => {
    const path = requireModel("smollm2");
    expect(await nAsked(path)).toBe(1); // the first is refused, so no other is asked for
    expect(await nAsked(path, 1)).toBe(0);
    expect(await nAsked(toyBytes("toy-llama"))).toBe(0);
    expect(await nAsked(toyBytes("toy-llama"), 2)).toBe(1);
  });
});
