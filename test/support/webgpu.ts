// WebGPU engines for tests, on whatever adapter Dawn finds. None is a failure, not a skip.
import { create } from "webgpu";
import type { Engine } from "../../src/engine/engine.ts";
import { frequenciesOf } from "../../src/engine/reference/ops.ts";
import { createWebGpuEngine, type WebGpuOptions } from "../../src/engine/webgpu/create.ts";

const gpu = create([]);

export async function webGpuEngine(options: Partial<WebGpuOptions> = {}): Promise<Engine> {
  const own = { gpu, ropeFrequencies: frequenciesOf, allowsSoftware: true };
  const result = await createWebGpuEngine({ ...own, ...options });
  if ("refusal" in result) {
    throw new Error(
      `These tests need WebGPU, ${result.refusal}: install Chromium or a Vulkan driver`,
    );
  }
  return result.engine;
}
