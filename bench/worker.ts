// One job in a process or page of its own: load the built package and the model, run one case.
import type { load as loadOn } from "../src/entry/node.ts";
import type { LocalModel } from "../src/session/local-model.ts";
import type { ModelSource, Runtime } from "../src/runtime/runtime.ts";
import { KvasirError } from "../src/errors.ts";
import { Bench, CheckError } from "./cases/case.ts";
import { caseNamed } from "./cases/index.ts";
import { isRefusal } from "./cases/quality.ts";
import type { Facts, Job, Reply } from "./job.ts";

export interface Package {
  readonly load: typeof loadOn;
  readonly runtime: Runtime;
}

export interface Platform {
  /** "node 20.20.2". */
  readonly runtime: string;
  /** What `load` takes for the job's model: pages fetch it first, so that no network is timed. */
  readonly openModel: (place: string, built: Package, job: Job) => Promise<ModelSource>;
}

export async function runJob(job: Job, platform: Platform): Promise<Reply> {
  try {
    return await run(job, platform);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof CheckError) return { kind: "wrong", reason };
    return { kind: isRefusal(error) ? "skipped" : "failed", reason };
  }
}

async function run(job: Job, { runtime, openModel }: Platform): Promise<Reply> {
  const { engine, activations, threads, build } = job.settings;
  const built = (await import(job.entry)) as Package;
  const source = await openModel(job.model, built, job);
  const chosen = caseNamed(job.case);
  const readMs = chosen.readsFirst === true ? await timeRead(source, built.runtime) : 0;
  // Fewer may be had: what is in use is checked below.
  const forced = build === undefined ? {} : { runtime: onlyBuild(built.runtime, build) };
  const asked = { engine, activations, threads, ...forced };
  const model = (await built.load(source, asked)) as LocalModel;
  try {
    const facts = factsOf(model, runtime);
    if (facts.threads !== threads) {
      const reason = `the engine uses ${facts.threads} threads in place of ${threads}`;
      return { kind: "skipped", reason };
    }
    const bench = new Bench(model, job.settings, built.runtime, readMs);
    if (job.phase === "expect") {
      return { kind: "done", metrics: {}, output: await chosen.expect(bench, job.params), facts };
    }
    const { metrics, output } = await chosen.measure(bench, job.params, job.expected);
    return { kind: "done", metrics, output, facts: factsOf(model, runtime) };
  } finally {
    model.dispose();
  }
}

/** Bytes of a plain read: large enough for a disk. */
const READ_BYTES = 4 << 20;

/** Reads the file from front to back as `load` opens it: the second time, so that the disk's cache has it. */
async function timeRead(model: ModelSource, runtime: Runtime): Promise<number> {
  let readMs = 0;
  for (let i = 0; i < 2; i++) {
    const started = performance.now();
    const source = await runtime.openByteSource(model);
    const buffer = new Uint8Array(READ_BYTES);
    for (let offset = 0; offset < source.size; offset += READ_BYTES) {
      const byteLength = Math.min(READ_BYTES, source.size - offset);
      if (source.readInto === undefined) await source.read(offset, byteLength);
      else await source.readInto(offset, buffer.subarray(0, byteLength));
    }
    await source.close?.();
    readMs = performance.now() - started;
  }
  return readMs;
}

/** The runtime without its other kernels. */
export function onlyBuild(runtime: Runtime, build: "simd128" | "relaxed"): Runtime {
  return {
    ...runtime,
    async loadKernels(name) {
      if (name === build || name === `${build}-threads`) return runtime.loadKernels(name);
      throw new KvasirError("unavailable", `Cannot take kernels "${name}": only "${build}" may be`);
    },
  };
}

function factsOf(model: LocalModel, runtime: string): Facts {
  const { name, activations } = model.engine;
  const { weightBytes, peakBytes, reservedBytes } = model.memory();
  return {
    runtime,
    engine: name,
    activations,
    threads: model.engine.nThreads,
    loadMs: model.loadMs,
    weightBytes,
    peakEngineBytes: peakBytes,
    reservedBytes,
  };
}
