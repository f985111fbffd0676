// The adapter that the engine webgpu would take, as data.
import type { Runtime } from "../runtime/runtime.ts";

export interface GpuReport {
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
  /** A driver that computes on the CPU. */
  readonly isSoftware: boolean;
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
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
  const { isSoftware } = await import("./webgpu/device/device.ts");
  const { vendor, architecture, description } = adapter.info;
  return {
    ...{ vendor, architecture, description },
    isSoftware: isSoftware(adapter),
    features: [...adapter.features].sort(),
    limits: Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]])),
  };
}
