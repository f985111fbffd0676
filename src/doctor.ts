// What this platform offers kvasir, and what would make it faster: found by trying, not by names.
import { createEngine } from "./engine/create-engine.ts";
import { describeGpu, type GpuReport } from "./engine/describe-gpu.ts";
import type { Activations, EngineName } from "./engine/engine.ts";
import { KvasirError } from "./errors.ts";
import type { KernelBuild, Runtime } from "./runtime/runtime.ts";

export interface DoctorReport {
  readonly runtime: {
    readonly name: Runtime["name"];
    readonly threads: number;
    /** Whether workers can share memory, which threads take. */
    readonly hasSharedMemory: boolean;
  };
  /** Build of the Rust kernels that is used; null where none runs. */
  readonly kernels: KernelBuild | null;
  readonly engines: readonly EngineReport[];
  /** What "auto" takes; null where nothing works. */
  readonly chosen: EngineName | null;
  /** The adapter; null where there is no WebGPU or no adapter. */
  readonly gpu: GpuReport | null;
  /** One sentence each. */
  readonly advice: readonly string[];
}

export interface EngineReport {
  readonly name: EngineName;
  /** Why it does not work here; null where it does. */
  readonly problem: string | null;
  readonly activations?: Activations;
  readonly nThreads?: number;
  /** Decode steps recorded before the first one's token was read. */
  readonly readAhead?: number;
  /** Bytes that it can hold at most; null where only the machine limits it. */
  readonly limitBytes?: number | null;
}

const NAMES: readonly EngineName[] = ["webgpu", "wasm", "reference"];

/** Tries every engine; makes and frees devices and workers, loads no model. */
export async function examine(runtime: Runtime): Promise<DoctorReport> {
  const threads = runtime.hardwareThreads;
  const engines: EngineReport[] = [];
  let kernels: KernelBuild | null = null;
  for (const name of NAMES) {
    const [report, build] = await tryEngine(runtime, name, threads);
    engines.push(report);
    kernels ??= build;
  }
  const chosen = await choose(runtime, threads);
  const gpu = await describeGpu(runtime);
  const hasSharedMemory = (engines.find(({ name }) => name === "wasm")?.nThreads ?? 1) > 1;
  const found = {
    runtime: { name: runtime.name, threads, hasSharedMemory },
    ...{ kernels, engines, chosen, gpu },
  };
  return { ...found, advice: advise(found, runtime) };
}

async function tryEngine(
  runtime: Runtime,
  name: EngineName,
  threads: number,
): Promise<[EngineReport, KernelBuild | null]> {
  try {
    const created = await createEngine({ engine: name, runtime, threads });
    if (created === null) return [{ name, problem: "it does not work here" }, null];
    const { engine, build } = created;
    const { activations, nThreads, readAhead } = engine;
    const { limitBytes } = engine.memory();
    engine.dispose();
    const limit = Number.isFinite(limitBytes) ? limitBytes : null;
    return [{ name, problem: null, activations, nThreads, readAhead, limitBytes: limit }, build];
  } catch (error) {
    if (!(error instanceof KvasirError)) throw error;
    return [{ name, problem: error.message }, null];
  }
}

async function choose(runtime: Runtime, threads: number): Promise<EngineName | null> {
  const created = await createEngine({ engine: "auto", runtime, threads }).catch(() => null);
  created?.engine.dispose();
  return created?.engine.name ?? null;
}

/** What would be faster, most effective first. */
function advise(
  { runtime, kernels, engines, gpu }: Omit<DoctorReport, "advice">,
  { name }: Runtime,
): string[] {
  const advice: string[] = [];
  const works = (engine: EngineName): boolean =>
    engines.some((one) => one.name === engine && one.problem === null);
  if (gpu === null) advice.push(gpuAdvice[name] ?? "A runtime with WebGPU would use the GPU.");
  else if (gpu.isSoftware) {
    advice.push(
      `The GPU's driver, ${gpu.description || gpu.architecture}, computes on the CPU: with a ` +
        "hardware driver (Vulkan, Metal or Direct3D) the engine webgpu would be the fastest.",
    );
  }
  advice.push(...variantAdvice(gpu));
  if (works("wasm") && runtime.threads > 1 && !runtime.hasSharedMemory) {
    advice.push(
      name === "browser"
        ? "Served with the headers Cross-Origin-Opener-Policy: same-origin and " +
            "Cross-Origin-Embedder-Policy: require-corp, the page could use several threads."
        : "Workers that share memory would let the engine wasm use several threads.",
    );
  }
  if (kernels === "simd128") {
    advice.push(
      "This JavaScript engine has no relaxed SIMD: a newer one (Node 22, Chrome 114, Deno 2) " +
        "multiplies faster, with the same results.",
    );
  }
  return advice;
}

/** What the GPU has, and gets wrong. */
function variantAdvice(gpu: GpuReport | null): string[] {
  const refused = (gpu?.variants ?? []).filter(({ isRefused }) => isRefused);
  return refused.map(
    ({ name, reason }) =>
      `The GPU has ${name}, but gets it wrong (${reason}): with a newer driver or browser kernels ` +
      "could use it.",
  );
}

const gpuAdvice: Partial<Record<Runtime["name"], string>> = {
  node: "With the package webgpu beside kvasir (npm install webgpu), Node would use the GPU.",
  deno: "With a Vulkan, Metal or Direct3D driver, Deno would use the GPU.",
  browser: "A browser with WebGPU would use the GPU.",
  workerd: "Cloudflare Workers have no GPU for this: the engine wasm is what there is.",
};
