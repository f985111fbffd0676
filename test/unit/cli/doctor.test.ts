import { describe, expect, test } from "vitest";
import { doctorCommand } from "../../../cli/doctor.ts";
import { UsageError } from "../../../cli/options.ts";
import type { DoctorReport } from "../../../src/doctor.ts";
import { KvasirError } from "../../../src/errors.ts";
import { nodeRuntime } from "../../../src/runtime/node.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import { fakeIo } from "./fakes.ts";

const command = doctorCommand({ system: "any" });

/** One thread: no workers are started. */
const bare: Runtime = { ...nodeRuntime, hardwareThreads: 1, gpu: async () => null };

async function run(args: string[], runtime: Runtime) {
  const io = { ...fakeIo(), runtime };
  const code = await command.run(args, io);
  return { code, text: io.stdout() };
}

async function report(runtime: Runtime): Promise<DoctorReport> {
  return JSON.parse((await run(["--json"], runtime)).text) as DoctorReport;
}

describe("kvasir doctor", () => {
  test("without a GPU: why, what is taken instead, what would help", async () => {
    const { engines, chosen, gpu, advice, kernels } = await report(bare);
    const [webgpu, wasm, reference] = engines;
    expect(webgpu?.problem).toMatch(/^Cannot create engine "webgpu": .*no WebGPU/);
    expect(wasm).toMatchObject({ name: "wasm", problem: null, activations: "q8", nThreads: 1 });
    expect(reference).toMatchObject({ name: "reference", problem: null, activations: "f32" });
    expect([chosen, gpu]).toEqual(["wasm", null]);
    expect(["relaxed", "simd128"]).toContain(kernels);
    expect(advice[0]).toContain("npm install webgpu");
    expect(advice.some((text) => text.includes("relaxed SIMD"))).toBe(kernels === "simd128");
  });

  test("a GPU that is a driver on the CPU is described, and not chosen", async () => {
    const { engines, chosen, gpu, advice } = await report({ ...nodeRuntime, hardwareThreads: 1 });
    expect(engines[0]).toMatchObject({ name: "webgpu", problem: null, activations: "f32" });
    expect(engines[0]?.readAhead).toBeGreaterThanOrEqual(1);
    expect(gpu?.isSoftware).toBe(true);
    expect(gpu?.limits["maxBufferSize"]).toBeGreaterThanOrEqual(2 ** 28);
    expect(chosen).toBe("wasm");
    expect(advice[0]).toContain("computes on the CPU");
    expect(gpu?.tuning).toEqual({ laneFactor: 1, tileTokens: 64, source: "off" });
    const hasSubgroups = gpu?.features.includes("subgroups") ?? false;
    expect(gpu?.variants.find((variant) => variant.name === "subgroups")).toEqual({
      name: "subgroups",
      isUsed: hasSubgroups,
      isRefused: false,
      reason: hasSubgroups ? null : "the adapter has no subgroups",
    });
  });

  test("as lines, with the machine's own facts; exit code 1 where nothing works", async () => {
    const { code, text } = await run([], bare);
    expect(code).toBe(0);
    expect(text).toMatch(/^system {6}any$/m);
    expect(text).toMatch(/^wasm {8}works, activations q8.*\(chosen\)$/m);
    expect(text).toMatch(/^webgpu {6}no: Cannot create/m);
    expect(text).toMatch(/^gpu {9}none$/m);
    const reason = new KvasirError("unavailable", "Cannot load the kernels: no file");
    const broken: Runtime = { ...bare, loadKernels: () => Promise.reject(reason) };
    const nothing = await run([], broken);
    expect(nothing.code).toBe(1);
    expect(nothing.text).toMatch(/^kernels {5}none run here$/m);
  });

  test("takes no arguments", async () => {
    await expect(run(["model.gguf"], bare)).rejects.toThrow(UsageError);
  });
});
