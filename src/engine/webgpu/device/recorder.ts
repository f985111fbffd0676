// Records dispatches and copies into one command encoder, in one compute pass where nothing stands
// between, and submits them when the host waits, when the parameters' arena is full, or when enough
// work has gathered that a watchdog might stir.
import { assert, KvasirError } from "../../../errors.ts";
import type { EngineBuffer } from "../../engine.ts";
import { liveBuffer, rangeOf } from "./buffers.ts";
import { type Allocation, type GpuDevice, USAGE } from "./device.ts";
import { type BindGroups, type Kernel, SLOT_BYTES } from "./pipelines.ts";

const N_SLOTS = 512;
const SLOT_WORDS = SLOT_BYTES / 4;
/** Workgroups of tiles after which a submit is due; others weigh next to nothing. */
const MAX_WORKGROUPS = 8192;
const LIGHT_WEIGHT = 1 / 256;
/** Offsets of bindings are multiples of it on every device. */
const BINDING_ALIGNMENT = 256;
const MAP_READ_MODE = 0x1; // GPUMapMode.READ
const MAX_IDLE_STAGINGS = 4;

/** A part of a buffer as a kernel sees it. */
export interface Bound {
  readonly allocation: Allocation;
  readonly byteOffset: number;
  readonly byteLength: number;
  /** Words from the start of the binding to the range that was asked for: for the parameters. */
  readonly at: number;
}

/** The parameters of the next dispatch, word after word in the order of the shader's struct. */
export interface ParamWriter {
  u32(...values: readonly number[]): ParamWriter;
  f32(...values: readonly number[]): ParamWriter;
}

export class Recorder {
  /** Recorded so far. */
  nDispatches = 0;
  readonly #gpu: GpuDevice;
  readonly #arena: Allocation;
  readonly #u32 = new Uint32Array(N_SLOTS * SLOT_WORDS);
  readonly #f32 = new Float32Array(this.#u32.buffer);
  readonly #retired: Allocation[] = [];
  readonly #stagings: Allocation[] = [];
  readonly #writer: ParamWriter;
  #deferred: (() => void) | null = null;
  #slot = 0;
  #word = 0;
  #nWorkgroups = 0;
  #encoder: GPUCommandEncoder | null = null;
  #pass: GPUComputePassEncoder | null = null;
  /** The pass's. */
  #pipeline: GPUComputePipeline | null = null;
  readonly #offset = new Uint32Array(1);

  constructor(gpu: GpuDevice) {
    this.#gpu = gpu;
    const usage = USAGE.uniform | USAGE.copyDst;
    this.#arena = gpu.allocate("parameters", N_SLOTS * SLOT_BYTES, usage);
    this.#writer = {
      u32: (...values) => {
        for (const value of values) this.#u32[this.#word++] = value;
        return this.#writer;
      },
      f32: (...values) => {
        for (const value of values) this.#f32[this.#word++] = value;
        return this.#writer;
      },
    };
  }

  /**
   * Binds a range of a buffer: the whole buffer where the device allows, so that slices of one
   * buffer share a bind group, else as little around the range as offsets allow.
   */
  bind(buffer: EngineBuffer, byteOffset: number, byteLength: number): Bound {
    const from = rangeOf(buffer, byteOffset, byteLength);
    return this.bindRange(liveBuffer(buffer).allocation, from, byteLength);
  }

  /** As `bind`, for a buffer that the engine keeps for itself. */
  bindRange(allocation: Allocation, byteOffset: number, byteLength: number): Bound {
    if (allocation.byteLength <= this.#gpu.maxBindingBytes) {
      const whole = allocation.byteLength;
      return { allocation, byteOffset: 0, byteLength: whole, at: byteOffset / 4 };
    }
    const start = byteOffset - (byteOffset % BINDING_ALIGNMENT);
    const size = Math.ceil((byteOffset + byteLength - start) / 16) * 16;
    if (size > this.#gpu.maxBindingBytes) {
      throw new KvasirError(
        "out-of-memory",
        `Cannot compute with "${allocation.label}": this GPU's kernels see at most ` +
          `${this.#gpu.maxBindingBytes} bytes at once, got ${size} bytes`,
      );
    }
    return { allocation, byteOffset: start, byteLength: size, at: (byteOffset - start) / 4 };
  }

  /** Has `record` run before whatever is recorded next, unless that can do without: `undefer`. */
  defer(record: () => void): void {
    this.#settle();
    this.#deferred = record;
  }

  /** @returns Whether `record` waited; it does not run then. */
  undefer(record: () => void): boolean {
    if (this.#deferred !== record) return false;
    this.#deferred = null;
    return true;
  }

  /** Begins the parameters of the next dispatch. Unwritten words are left over from earlier ones. */
  params(): ParamWriter {
    this.#settle();
    if (this.#slot === N_SLOTS) this.flush();
    this.#word = this.#slot * SLOT_WORDS;
    return this.#writer;
  }

  /** Runs after everything recorded before; `buffers` are those of bindings 1 upwards. */
  dispatch(kernel: Kernel, buffers: readonly Bound[], x: number, y = 1, z = 1): void {
    const nWords = this.#word - this.#slot * SLOT_WORDS;
    if (nWords < 1 || nWords > SLOT_WORDS) assert(false, `"${kernel.label}" has its parameters`);
    if (x === 0 || y === 0 || z === 0) return;
    const group = this.#group(kernel, buffers);
    if (this.#pass === null) {
      this.#pass = this.#encode().beginComputePass();
      this.#pipeline = null;
    }
    if (kernel.pipeline !== this.#pipeline) this.#pass.setPipeline(kernel.pipeline);
    this.#pipeline = kernel.pipeline;
    this.#offset[0] = this.#slot * SLOT_BYTES;
    this.#pass.setBindGroup(0, group, this.#offset, 0, 1);
    this.#pass.dispatchWorkgroups(x, y, z);
    this.nDispatches++;
    this.#slot++;
    this.#word = this.#slot * SLOT_WORDS;
    this.#nWorkgroups += x * y * z * (kernel.isHeavy ? 1 : LIGHT_WEIGHT);
    if (this.#nWorkgroups >= MAX_WORKGROUPS) this.flush();
  }

  /** Copies between two buffers, or within one where the ranges are apart. */
  copy(
    dst: Allocation,
    dstByteOffset: number,
    src: Allocation,
    srcByteOffset: number,
    byteLength: number,
  ): void {
    if (byteLength === 0) return;
    this.#settle();
    if (dst !== src) {
      const encoder = this.#betweenPasses();
      encoder.copyBufferToBuffer(src.buffer, srcByteOffset, dst.buffer, dstByteOffset, byteLength);
      return;
    }
    // The device copies between different buffers only.
    const between = this.#gpu.allocate("copy", byteLength);
    this.copy(between, 0, src, srcByteOffset, byteLength);
    this.copy(dst, dstByteOffset, between, 0, byteLength);
    this.retire(between);
  }

  /** Fills with zeros. */
  clear(allocation: Allocation, byteOffset: number, byteLength: number): void {
    if (byteLength > 0) {
      this.#settle();
      this.#betweenPasses().clearBuffer(allocation.buffer, byteOffset, byteLength);
    }
  }

  /** Writes after everything recorded before. */
  write(dst: Allocation, byteOffset: number, src: Uint8Array): void {
    this.flush();
    const { queue } = this.#gpu.device;
    queue.writeBuffer(dst.buffer, byteOffset, src as Uint8Array<ArrayBuffer>);
  }

  /** @returns A copy of the bytes, once everything recorded before has run. */
  async read(src: Allocation, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    if (byteLength === 0) {
      this.flush();
      return new Uint8Array(0);
    }
    this.#settle();
    const staging = this.#takeStaging(byteLength);
    const encoder = this.#betweenPasses();
    encoder.copyBufferToBuffer(src.buffer, byteOffset, staging.buffer, 0, byteLength);
    this.flush();
    try {
      await this.#gpu.unlessLost(staging.buffer.mapAsync(MAP_READ_MODE, 0, byteLength));
    } catch (cause) {
      this.#gpu.destroy(staging);
      return await this.#gpu.explain(cause);
    }
    const bytes = new Uint8Array(staging.buffer.getMappedRange(0, byteLength)).slice();
    staging.buffer.unmap();
    this.#giveStaging(staging);
    await this.#gpu.check();
    return bytes;
  }

  /** Frees a buffer once what was recorded with it has been submitted. */
  retire(allocation: Allocation): void {
    this.#settle();
    if (this.#encoder === null) this.#gpu.destroy(allocation);
    else this.#retired.push(allocation);
  }

  /** Submits what was recorded. */
  flush(): void {
    this.#settle();
    if (this.#encoder !== null) {
      this.#pass?.end();
      const commands = this.#encoder.finish();
      this.#pass = this.#encoder = null;
      const { queue } = this.#gpu.device;
      const nWords = this.#slot * SLOT_WORDS;
      if (nWords > 0) queue.writeBuffer(this.#arena.buffer, 0, this.#u32, 0, nWords);
      queue.submit([commands]);
    }
    this.#slot = this.#word = this.#nWorkgroups = 0;
    for (const allocation of this.#retired) this.#gpu.destroy(allocation);
    this.#retired.length = 0;
  }

  /** Gives the room back; nothing may be recorded any more. */
  dispose(): void {
    this.flush();
    for (const staging of this.#stagings.splice(0)) this.#gpu.destroy(staging);
    this.#gpu.destroy(this.#arena);
  }

  #settle(): void {
    const record = this.#deferred;
    this.#deferred = null;
    record?.();
  }

  #encode(): GPUCommandEncoder {
    this.#gpu.throwIfLost();
    if (this.#encoder !== null) return this.#encoder;
    const encoder = this.#gpu.device.createCommandEncoder();
    this.#encoder = encoder;
    // When the host turns to something else, the device begins.
    queueMicrotask(() => {
      if (this.#encoder === encoder && !this.#gpu.isLost) this.flush();
    });
    return encoder;
  }

  #betweenPasses(): GPUCommandEncoder {
    this.#pass?.end();
    this.#pass = null;
    return this.#encode();
  }

  #group(kernel: Kernel, buffers: readonly Bound[]): GPUBindGroup {
    let branch = kernel.groups;
    for (const [i, { allocation, byteOffset, byteLength }] of buffers.entries()) {
      if (byteLength < allocation.byteLength) {
        branch = below(below(branch, allocation.id, allocation), byteOffset);
        branch = below(branch, byteLength);
      }
      if (i < buffers.length - 1) branch = below(branch, allocation.id, allocation);
    }
    const last = buffers.at(-1)?.allocation.id ?? -1;
    const found = branch.get(last);
    if (found !== undefined && !(found instanceof Map)) return found;
    const group = this.#createGroup(kernel, buffers);
    branch.set(last, group);
    buffers.at(-1)?.allocation.onRelease.add(() => void branch.delete(last));
    return group;
  }

  #createGroup(kernel: Kernel, buffers: readonly Bound[]): GPUBindGroup {
    assert(buffers.length === kernel.nBuffers, `"${kernel.label}" has ${kernel.nBuffers} buffers`);
    return this.#gpu.device.createBindGroup({
      label: kernel.label,
      layout: kernel.layout,
      entries: [
        { binding: 0, resource: { buffer: this.#arena.buffer, size: SLOT_BYTES } },
        ...buffers.map(({ allocation, byteOffset, byteLength }, i) => ({
          binding: i + 1,
          resource: { buffer: allocation.buffer, offset: byteOffset, size: byteLength },
        })),
      ],
    });
  }

  #takeStaging(byteLength: number): Allocation {
    const index = this.#stagings.findIndex((staging) => staging.byteLength >= byteLength);
    const [found] = index < 0 ? [] : this.#stagings.splice(index, 1);
    if (found !== undefined) return found;
    const size = 2 ** Math.ceil(Math.log2(Math.max(byteLength, 4096)));
    const usage = USAGE.mapRead | USAGE.copyDst;
    return this.#gpu.allocate("read", Math.min(size, this.#gpu.maxBufferBytes), usage);
  }

  #giveStaging(staging: Allocation): void {
    this.#stagings.push(staging);
    this.#stagings.sort((a, b) => a.byteLength - b.byteLength);
    const largest = this.#stagings.length > MAX_IDLE_STAGINGS ? this.#stagings.pop() : undefined;
    if (largest !== undefined) this.#gpu.destroy(largest);
  }
}

/** The branch at `key`, made where there is none; it goes with `owner`. */
function below(groups: BindGroups, key: number, owner?: Allocation): BindGroups {
  const found = groups.get(key);
  if (found instanceof Map) return found;
  const branch: BindGroups = new Map();
  groups.set(key, branch);
  owner?.onRelease.add(() => void groups.delete(key));
  return branch;
}
