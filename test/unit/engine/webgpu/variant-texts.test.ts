// Variants on Dawn's null adapter: it has every feature and compiles for all of them, but computes
// nothing. What no adapter of a test machine has is at least valid WGSL here.
import { create } from "webgpu";
import { afterEach, describe, expect, it } from "vitest";
import { type GpuDevice, openDevice } from "../../../../src/engine/webgpu/device/device.ts";
import { Pipelines, type Shader } from "../../../../src/engine/webgpu/device/pipelines.ts";
import { moduleText } from "../../../../src/engine/webgpu/device/variant.ts";
import { ATTEND_SHADERS } from "../../../../src/engine/webgpu/ops/attend.ts";
import { PROJECT_SHADERS } from "../../../../src/engine/webgpu/ops/project-shaders.ts";
import { chooseVariants } from "../../../../src/engine/webgpu/variants/self-test.ts";
import { VARIANTS } from "../../../../src/engine/webgpu/variants/table.ts";

const gpu = create(["backend=null"]);
const shaders: readonly Shader[] = [
  ...Object.values(PROJECT_SHADERS),
  ...Object.values(ATTEND_SHADERS),
  ...VARIANTS.flatMap(({ tests }) => tests.map(({ shader }) => shader)),
];

let device: GpuDevice | null = null;
afterEach(() => {
  device?.dispose();
  device = null;
});

async function nullDevice(): Promise<GpuDevice> {
  const adapter = await gpu.requestAdapter();
  if (adapter === null) throw new Error("This test needs Dawn's null adapter");
  device = await openDevice(adapter, { gpu });
  if (device === null) throw new Error("This test needs a device of Dawn's null adapter");
  return device;
}

/** The validation error of compiling all shaders with these variants, or null. */
async function compileAll(variants: typeof VARIANTS): Promise<string | null> {
  const opened = await nullDevice();
  const pipelines = new Pipelines(opened, variants);
  opened.device.pushErrorScope("validation");
  for (const shader of shaders) pipelines.kernel(shader, {});
  return (await opened.device.popErrorScope())?.message ?? null;
}

describe("texts of variants", () => {
  it.each(VARIANTS)("$name: every kernel compiles with it", async (variant) => {
    const changed = shaders.filter((shader) =>
      moduleText(shader, [variant], 4).startsWith(variant.directive),
    );
    expect(changed.length).toBeGreaterThan(1); // its self-test, and a kernel that gains by it
    expect(await compileAll([variant])).toBeNull();
  });

  it("all at once: every kernel compiles", async () => {
    expect(await compileAll(VARIANTS)).toBeNull();
  });

  it("a device without answers: none is used", async () => {
    const opened = await nullDevice();
    const reports = await chooseVariants(opened, VARIANTS);
    expect(reports).toHaveLength(VARIANTS.length);
    for (const report of reports) {
      expect(report).toMatchObject({ isUsed: false, isRefused: true });
      expect(report.reason).toMatch(/gave a wrong word at \d+/);
    }
    expect(opened.variants).toEqual([]);
  });
});
