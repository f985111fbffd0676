// The adapter that the engine webgpu would take, as data.
import type { Runtime } from "../runtime/runtime.ts";
import type { GpuDevice } from "./webgpu/device/device.ts";
import type { TuningReport } from "./webgpu/tuning/tune.ts";
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
  /** Sizes of kernels; timed just now where no earlier load did. */
  readonly tuning: TuningReport | null;
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
  const { isSoftware: isOnCpu, openDevice } = await import("./webgpu/device/device.ts");
  const { vendor, architecture, description } = adapter.info;
  const features = [...adapter.features].sort();
  const limits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]]));
  const device = await openDevice(adapter, { gpu });
  const isSoftware = isOnCpu(adapter);
  const tried = device === null ? NOTHING : await tryDevice(device, isSoftware, runtime);
  return { vendor, architecture, description, isSoftware, features, limits, ...tried };
}

type Tried = Pick<GpuReport, "variants" | "tuning">;
const NOTHING: Tried = { variants: [], tuning: null };

async function tryDevice(
  device: GpuDevice,
  isSoftware: boolean,
  { notes }: Pick<Runtime, "notes">,
): Promise<Tried> {
  const { chooseVariants } = await import("./webgpu/variants/self-test.ts");
  const { VARIANTS } = await import("./webgpu/variants/table.ts");
  const { tuneDevice, UNTUNED } = await import("./webgpu/tuning/tune.ts");
  const variants = await chooseVariants(device, VARIANTS);
  const tuning = isSoftware ? UNTUNED : await tuneDevice(device, notes ?? null);
  device.dispose();
  return { variants, tuning };
}
