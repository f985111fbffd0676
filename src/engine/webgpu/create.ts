// Makes WebGPU engines, or says why there is none.
import type { Notes } from "../../runtime/runtime.ts";
import type { Activations, Engine } from "../engine.ts";
import { type DeviceOptions, isSoftware, openDevice, USAGE } from "./device/device.ts";
import { WebGpuEngine } from "./engine.ts";
import type { Variant } from "./device/variant.ts";
import type { FrequenciesOf } from "./ops/rope-frequencies.ts";
import { tuneDevice, type TuningReport, UNTUNED } from "./tuning/tune.ts";
import { chooseVariants, type VariantReport } from "./variants/self-test.ts";
import { VARIANTS } from "./variants/table.ts";

const MAP_READ_MODE = 0x1; // GPUMapMode.READ
/** About what a decode step of a small model takes. */
const STEP_MS = 3;
/** How many tokens late an answer may be shown; after a stop so many steps were in vain. */
const MAX_READ_AHEAD = 4;

export interface WebGpuOptions extends DeviceOptions {
  /** What the platform has; null where it has none. */
  readonly gpu: GPU | null;
  /** Computes the rotary embedding's frequencies, beside every engine the same. */
  readonly ropeFrequencies: FrequenciesOf;
  /** Takes an adapter that computes on the CPU: the engine "wasm" is faster there. Default false. */
  readonly allowsSoftware?: boolean;
  /** What callers may hold at once, bytes. Default: no limit but the device's. */
  readonly maxBytes?: number;
  /** Default "f32". */
  readonly activations?: Activations | undefined;
  /** Tried on the device, and used where they work. Default: all that there are. */
  readonly variants?: readonly Variant[];
  /**
   * `auto`: sizes of kernels are timed at the first engine on an adapter, not on one that computes on
   * the CPU. They change speed, and a sum's last bits. Default "off".
   */
  readonly tuning?: "auto" | "off" | undefined;
  /** The caller awaits `Engine.ready`. Default false. */
  readonly mayStartLater?: boolean | undefined;
  /** Where the choice outlives the program. Default: it does not. */
  readonly notes?: Notes | undefined;
}

export type WebGpuResult =
  | {
      readonly engine: Engine;
      readonly variants: Promise<readonly VariantReport[]>;
      readonly tuning: TuningReport;
    }
  | { readonly refusal: string };

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
  const readAhead = stepsWithin(await readMilliseconds(device.device));
  const variants = chooseVariants(device, options.variants ?? VARIANTS);
  device.prepared = variants.then(() => {});
  const isTuned = options.tuning === "auto" && !isSoftware(adapter);
  const tuning = isTuned ? await tuneDevice(device, options.notes ?? null) : UNTUNED;
  if (options.mayStartLater !== true) await device.prepared;
  const engine = new WebGpuEngine(
    ...([device, ropeFrequencies, readAhead, maxBytes, options.activations] as const),
  );
  return { engine, variants, tuning };
}

/** How long the host waits for 4 bytes; Deno and Firefox look for finished work on a timer. */
async function readMilliseconds(device: GPUDevice): Promise<number> {
  const buffer = device.createBuffer({ size: 4, usage: USAGE.mapRead | USAGE.copyDst });
  const times: number[] = [];
  for (let i = 0; i < 2; i++) {
    device.queue.writeBuffer(buffer, 0, new Uint32Array(1));
    const begin = performance.now();
    await buffer.mapAsync(MAP_READ_MODE);
    times.push(performance.now() - begin);
    buffer.unmap();
  }
  buffer.destroy();
  return Math.min(...times);
}

/** Steps that a GPU computes while the host waits for a read, at least one and not too many to lose. */
function stepsWithin(milliseconds: number): number {
  return Math.min(MAX_READ_AHEAD, Math.max(1, Math.ceil(milliseconds / STEP_MS)));
}
