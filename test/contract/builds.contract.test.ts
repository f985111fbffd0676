// Every build of the kernels, and any number of threads, gives the bits of `simd128` on one thread.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CodecName, Engine } from "../../src/engine/engine.ts";
import { createThreadedWasmEngine, createWasmEngine } from "../../src/engine/wasm/create.ts";
import type { TensorTypeName } from "../../src/gguf/tensor-type.ts";
import type { KernelBuild, KernelWorker } from "../../src/runtime/runtime.ts";
import { randomBlocks } from "../support/random-blocks.ts";
import { Rng, seedOf } from "../support/rng.ts";
import { attentionCase, type AttentionCase } from "./engine/attention.ts";
import { expectBits, onEngine } from "./rig.ts";

// Node 20 has relaxed SIMD behind a flag; flags count for what is compiled after them.
setFlagsFromString("--experimental-wasm-relaxed-simd");

const TYPES: readonly TensorTypeName[] = [
  ...(["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"] as const),
  ...(["Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "F16"] as const),
];
const CODECS: readonly CodecName[] = ["f32", "f16", "q8"];
const LANES = [
  ...[["relaxed", 1] as const, ["simd128-threads", 2] as const],
  ...[["simd128-threads", 3] as const, ["relaxed-threads", 2] as const],
] as const;

describe("builds and threads", () => {
  let folder = "";
  const known: Known[] = [];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "kvasir-builds-"));
    const entry = fileURLToPath(
      new URL("../../workers/kernel-pool.node.worker.ts", import.meta.url),
    );
    await build({
      ...{ entryPoints: [entry], bundle: true, platform: "node", format: "esm" },
      outfile: join(folder, "worker.mjs"),
    });
    const plain = createWasmEngine({ module: await load("simd128"), activations: "q8" });
    for (const [what, run] of cases()) known.push({ what, run, expected: await run(plain) });
    plain.dispose();
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  for (const [name, nThreads] of LANES) {
    it(`${name}, ${nThreads} threads: products, attention and sums have the same bits`, async () => {
      const module = await load(name);
      const workers = Array.from({ length: nThreads - 1 }, () => spawn(join(folder, "worker.mjs")));
      const options = { module, activations: "q8" } as const;
      const engine =
        nThreads === 1
          ? createWasmEngine(options)
          : await createThreadedWasmEngine({ ...options, workers });
      if (engine === null) throw new Error("The workers did not start");
      try {
        expect(engine.nThreads).toBe(nThreads);
        for (const { what, run, expected } of known) {
          expectBits(await run(engine), expected, what);
        }
      } finally {
        engine.dispose();
      }
    });
  }
});

type Run = (engine: Engine) => Promise<Float32Array>;

interface Known {
  readonly what: string;
  readonly run: Run;
  readonly expected: Float32Array;
}

function* cases(): Generator<readonly [what: string, run: Run]> {
  for (const type of TYPES) {
    for (const nTokens of [1, 4, 7, 29]) {
      yield [`${type}, ${nTokens} tokens`, product(type, nTokens, 256)];
    }
    yield [`${type}, more columns than are laid out at once`, product(type, 13, 3328)];
  }
  for (const codec of CODECS) {
    for (const [nQueries, headDim, nGroups, length] of [
      ...[[1, 64, 3, 700] as const, [5, 80, 1, 70] as const],
      ...[[70, 32, 3, 300] as const, [1, 256, 4, 150] as const],
    ] as const) {
      const lengths = [length, 70 + nQueries];
      const options = { codec, nQueries, headDim, nGroups, lengths };
      const test = attentionCase(new Rng(seedOf(`builds ${codec} ${nQueries}`)), options);
      for (const op of ["attend", "attendAndSum", "measureWindow"] as const) {
        yield [`${op}, ${codec}, ${nQueries} queries`, (engine) => attention(engine, op, test)];
      }
    }
  }
}

function product(type: TensorTypeName, nTokens: number, nCols: number): Run {
  const rng = new Rng(seedOf(`builds ${type} ${nTokens}`));
  const nRows = 139;
  const blocks = randomBlocks(rng, type, nRows, nCols);
  const [weights, x] = [rng.normals(nCols), rng.normals(nTokens * nCols)];
  return (engine) =>
    onEngine(engine, async (rig) => {
      const weight = rig.weight(type, nRows, nCols, blocks);
      const out = rig.space(nTokens * nRows);
      engine.normProject(out, rig.f32(x), rig.norm(weights), [{ weight }], nTokens);
      return rig.readF32(out);
    });
}

type Op = "attend" | "attendAndSum" | "measureWindow";

function attention(engine: Engine, op: Op, test: AttentionCase): Promise<Float32Array> {
  const { shape, rows, qkv, firstPosition, nQueries } = test;
  const longest = Math.max(...rows.length);
  return onEngine(engine, async (rig) => {
    const out = rig.space(nQueries * shape.nHeads * shape.headDim);
    const sums = rig.space(shape.nHeads * longest);
    const asked = [rig.f32(qkv), rig.rows(rows), shape, firstPosition, nQueries] as const;
    const layout = { stride: longest, isAdded: false };
    if (op === "attend") engine.attend(out, ...asked);
    else if (op === "measureWindow") engine.measureWindow(sums, ...asked);
    else engine.attendAndSum?.(out, ...asked, sums, layout);
    return rig.readF32(op === "attend" ? out : sums);
  });
}

async function load(name: KernelBuild): Promise<WebAssembly.Module> {
  const path = `../../dist/kernels/${name}/kvasir_kernels_bg.wasm`;
  return WebAssembly.compile(await readFile(new URL(path, import.meta.url)));
}

function spawn(path: string): KernelWorker {
  const worker = new Worker(path);
  return {
    post: (message) => worker.postMessage(message),
    onFailure(callback) {
      worker.once("error", (error) => callback(error.message));
    },
    terminate: () => void worker.terminate(),
  };
}
