// What the operations share: the device, its recorder and pipelines, and room for what passes
// between two kernels of one operation.
import type { Activations, EngineBuffer, LayerRows } from "../../engine.ts";
import type { Allocation, GpuDevice } from "../device/device.ts";
import { Pipelines } from "../device/pipelines.ts";
import { type Bound, Recorder } from "../device/recorder.ts";

/** `Engine.ropeAppend` of one token that is still to be recorded: attention may do its work as well. */
export interface Append {
  readonly qkv: EngineBuffer;
  readonly rows: LayerRows;
  readonly table: EngineBuffer;
  readonly isHalfStyle: boolean;
  readonly record: () => void;
}

export class OpContext {
  append: Append | null = null;
  readonly gpu: GpuDevice;
  readonly recorder: Recorder;
  readonly pipelines: Pipelines;
  /** What quantised weights multiply. */
  readonly activations: Activations;
  readonly #scratch = new Map<string, Allocation>();

  constructor(gpu: GpuDevice, activations: Activations = "f32") {
    this.activations = activations;
    this.gpu = gpu;
    this.recorder = new Recorder(gpu);
    this.pipelines = new Pipelines(gpu);
  }

  /**
   * Room that only grows, one for each name; its content is undefined. Two operations may use one
   * name, two kernels that see each other's bytes may not.
   */
  scratch(name: string, byteLength: number): Bound {
    let found = this.#scratch.get(name);
    if (found === undefined || found.byteLength < byteLength) {
      if (found !== undefined) this.recorder.retire(found);
      found = this.gpu.allocate(`scratch: ${name}`, byteLength);
      this.#scratch.set(name, found);
    }
    return this.recorder.bindRange(found, 0, byteLength);
  }

  /** Gives the room back; nothing may be recorded any more. */
  dispose(): void {
    this.recorder.dispose();
    for (const allocation of this.#scratch.values()) this.gpu.destroy(allocation);
    this.#scratch.clear();
  }
}
