// The adapter that the engine webgpu would take, as data.
import type { Runtime } from "../runtime/runtime.ts";
import type { GpuDevice } from "./webgpu/device/device.ts";
import type { VariantReport } from "./webgpu/variants/self-test.ts";

export interface GpuReport {
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
  /** A driver that computes on the CPU. */
  readonly isSoftware: boolean;
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
  /** What kernels are made of there, tried just now; empty where the adapter gives no device. */
  readonly variants: readonly VariantReport[];
}

const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
] as const;

/** @returns null where there is no WebGPU or no adapter. */
export async function describeGpu(runtime: Runtime): Promise<GpuReport | null> {
  const gpu = ((await runtime.gpu?.()) ?? null) as GPU | null;
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null || adapter === undefined) return null;
  const { isSoftware, openDevice } = await import("./webgpu/device/device.ts");
  const { vendor, architecture, description } = adapter.info;
  const features = [...adapter.features].sort();
  const limits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]]));
  const device = await openDevice(adapter, { gpu });
  const variants = device === null ? [] : await tryVariants(device);
  return {
    ...{ vendor, architecture, description },
    isSoftware: isSoftware(adapter),
    ...{ features, limits, variants },
  };
}

async function tryVariants(device: GpuDevice): Promise<VariantReport[]> {
  const { chooseVariants } = await import("./webgpu/variants/self-test.ts");
  const { VARIANTS } = await import("./webgpu/variants/table.ts");
  const reports = await chooseVariants(device, VARIANTS);
  device.dispose();
  return reports;
}
