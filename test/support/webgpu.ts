// WebGPU engines for tests, on whatever adapter Dawn finds. None is a failure, not a skip.
import { afterAll } from "vitest";
import { create } from "webgpu";
import type { Engine } from "../../src/engine/engine.ts";
import { frequenciesOf } from "../../src/engine/reference/ops.ts";
import { createWebGpuEngine, type WebGpuOptions } from "../../src/engine/webgpu/create.ts";
import type { VariantReport } from "../../src/engine/webgpu/variants/self-test.ts";

/** Dawn, on this machine's adapter. */
export const testGpu = create([]);

// Dawn ends the process when a thread ends before its promises have settled, which they do in a task.
afterAll(() => new Promise((resolve) => void setTimeout(resolve, 50)));

export async function webGpuEngine(options: Partial<WebGpuOptions> = {}): Promise<Engine> {
  return (await openWebGpu(options)).engine;
}

/** The engine with what became of its variants, and the adapter's features. */
export async function openWebGpu(options: Partial<WebGpuOptions> = {}): Promise<{
  readonly engine: Engine;
  readonly variants: readonly VariantReport[];
  readonly features: ReadonlySet<string>;
}> {
  const own = { gpu: testGpu, ropeFrequencies: frequenciesOf, allowsSoftware: true };
  const result = await createWebGpuEngine({ ...own, ...options });
  if ("refusal" in result) {
    throw new Error(
      `These tests need WebGPU, ${result.refusal}: install Chromium or a Vulkan driver`,
    );
  }
  const adapter = await testGpu.requestAdapter();
  return {
    engine: result.engine,
    variants: await result.variants,
    features: new Set(adapter?.features),
  };
}
