// Makes WebGPU engines, or says why there is none.
import type { Engine } from "../engine.ts";
import { type DeviceOptions, isSoftware, openDevice } from "./device.ts";
import { WebGpuEngine } from "./engine.ts";
import type { FrequenciesOf } from "./rope-frequencies.ts";

export interface WebGpuOptions extends DeviceOptions {
  /** What the platform has; null where it has none. */
  readonly gpu: GPU | null;
  /** Computes the rotary embedding's frequencies, beside every engine the same. */
  readonly ropeFrequencies: FrequenciesOf;
  /** Takes an adapter that computes on the CPU: the engine "wasm" is faster there. Default false. */
  readonly allowsSoftware?: boolean;
  /** What callers may hold at once, bytes. Default: no limit but the device's. */
  readonly maxBytes?: number;
}

export type WebGpuResult = { readonly engine: Engine } | { readonly refusal: string };

/** An engine on the fastest adapter, or why there is none. */
export async function createWebGpuEngine(options: WebGpuOptions): Promise<WebGpuResult> {
  const { gpu, ropeFrequencies, allowsSoftware = false, maxBytes } = options;
  if (gpu === null) return { refusal: "this platform has no WebGPU" };
  const adapter = await gpu
    .requestAdapter({ powerPreference: "high-performance" })
    .catch(() => null);
  if (adapter === null) return { refusal: "WebGPU finds no adapter" };
  if (isSoftware(adapter) && !allowsSoftware) {
    const { description, architecture } = adapter.info;
    return { refusal: `its adapter computes on the CPU, got ${description || architecture}` };
  }
  const device = await openDevice(adapter, options);
  if (device === null) return { refusal: "the adapter gives no device" };
  return { engine: new WebGpuEngine(device, ropeFrequencies, maxBytes) };
}
