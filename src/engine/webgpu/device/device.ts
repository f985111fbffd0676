// A GPU device: what it can do, what was taken from it, and how its failures become errors.
//
// WebGPU reports failures late: what is found here is thrown by the next `check`, which `read` awaits.
import { KvasirError } from "../../../errors.ts";
import { DEFAULT_TUNING, type Tuning } from "./tuning.ts";
import type { Variant } from "./variant.ts";

/** The numbers of GPUBufferUsage: a constant that not every platform has as a global. */
export const USAGE = {
  mapRead: 0x1,
  copySrc: 0x4,
  copyDst: 0x8,
  uniform: 0x40,
  storage: 0x80,
} as const;

/** Buffers that ops read and write. */
const STORAGE_USAGE = USAGE.storage | USAGE.copySrc | USAGE.copyDst;

const USED_LIMITS = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeWorkgroupStorageSize",
  "maxStorageBuffersPerShaderStage",
] as const satisfies readonly (keyof GPUSupportedLimits)[];

const USED_FEATURES: readonly GPUFeatureName[] = ["subgroups", "shader-f16", "timestamp-query"];

/** The smallest that WebGPU allows. */
const MIN_SUBGROUP_SIZE = 4;

/** Freed buffers that wait for their like: making one, and binding it anew, costs the host more. */
const MAX_IDLE_BUFFER_BYTES = 1 << 20;
const MAX_IDLE_BYTES = 16 << 20;

/** For a device that failed to say whether it is lost. */
const LOSS_WAIT_MS = 1000;

export interface DeviceOptions {
  /** What the adapter came from: where it is a library's object, it must outlive the device. */
  readonly gpu?: GPU | null;
  /** Binds no more than this at once. Default: what the adapter allows. */
  readonly maxBindingBytes?: number | undefined;
}

/** One buffer of the device. */
export interface Allocation {
  readonly id: number;
  readonly label: string;
  readonly buffer: GPUBuffer;
  readonly byteLength: number;
  /** Called once when it goes: whoever keeps something made of it lets go. */
  readonly onRelease: Set<() => void>;
  isFreed: boolean;
}

export class GpuDevice {
  readonly device: GPUDevice;
  readonly adapterInfo: GPUAdapterInfo;
  readonly maxBindingBytes: number;
  readonly maxBufferBytes: number;
  /** Dawn answers nothing any more once it is collected. */
  readonly platform: GPU | null;
  /** What must be over before the first kernel is made: it sets `variants`. */
  prepared: Promise<void> = Promise.resolve();
  /** What kernels are made of here. */
  variants: readonly Variant[] = [];
  /** Sizes of kernels. Set before the first one is made. */
  tuning: Tuning = DEFAULT_TUNING;
  readonly #idle = new Map<number, Allocation[]>();
  #idleBytes = 0;
  #reservedBytes = 0;
  #nextId = 0;
  #isDestroyed = false;
  #lost: KvasirError | null = null;
  #failure: KvasirError | null = null;
  readonly #scopes = new Set<Promise<void>>();

  constructor(device: GPUDevice, adapterInfo: GPUAdapterInfo, options: DeviceOptions) {
    const { maxStorageBufferBindingSize, maxBufferSize } = device.limits;
    this.device = device;
    this.adapterInfo = adapterInfo;
    this.maxBindingBytes = Math.min(
      maxStorageBufferBindingSize,
      options.maxBindingBytes ?? Infinity,
    );
    this.maxBufferBytes = maxBufferSize;
    this.platform = options.gpu ?? null;
    void device.lost.then((info) => this.#onLost(info));
    device.addEventListener("uncapturederror", (event) => {
      const { message } = event.error;
      // It is still there, and another one would refuse the same.
      this.#failure ??= new KvasirError("engine-failed", `Cannot compute: the GPU says ${message}`);
    });
  }

  /** Bytes of all buffers, also those that the engine keeps for itself. */
  get reservedBytes(): number {
    return this.#reservedBytes;
  }

  has(feature: GPUFeatureName): boolean {
    return this.device.features.has(feature);
  }

  /** Whether shaders may name it in `requires`. */
  hasInLanguage(feature: string): boolean {
    return this.platform?.wgslLanguageFeatures?.has(feature) ?? false;
  }

  /** Invocations that every subgroup has at least, a power of two up to 128. */
  get subgroupSize(): number {
    const { subgroupMinSize = MIN_SUBGROUP_SIZE } = this.adapterInfo;
    return Math.min(128, Math.max(MIN_SUBGROUP_SIZE, subgroupMinSize));
  }

  /**
   * A buffer; its content is undefined. What the device cannot give shows at the next `check`.
   * @throws {KvasirError} `out-of-memory` for more than any buffer may hold, `device-lost`.
   */
  allocate(label: string, byteLength: number, usage: number = STORAGE_USAGE): Allocation {
    this.throwIfLost();
    const size = Math.max(16, Math.ceil(byteLength / 16) * 16);
    if (!(size <= this.maxBufferBytes)) {
      throw new KvasirError(
        "out-of-memory",
        `Cannot allocate "${label}": a buffer of this GPU holds at most ${this.maxBufferBytes} ` +
          `bytes, got ${byteLength} bytes`,
      );
    }
    const idle = usage === STORAGE_USAGE ? this.#idle.get(size)?.pop() : undefined;
    if (idle !== undefined) {
      this.#idleBytes -= size;
      return { ...idle, label, isFreed: false };
    }
    this.device.pushErrorScope("out-of-memory");
    const buffer = this.device.createBuffer({ label, size, usage });
    this.#await(label, size);
    this.#reservedBytes += size;
    const onRelease = new Set<() => void>();
    return { id: this.#nextId++, label, buffer, byteLength: size, onRelease, isFreed: false };
  }

  /** Gives the memory back, or keeps a little of it at hand. What was submitted before still runs. */
  destroy(allocation: Allocation): void {
    if (this.#keepIdle(allocation)) return;
    allocation.buffer.destroy();
    this.#reservedBytes -= allocation.byteLength;
    for (const release of allocation.onRelease) release();
    allocation.onRelease.clear();
  }

  #keepIdle(allocation: Allocation): boolean {
    const { buffer, byteLength } = allocation;
    const isWanted = buffer.usage === STORAGE_USAGE && byteLength <= MAX_IDLE_BUFFER_BYTES;
    if (!isWanted || this.#idleBytes + byteLength > MAX_IDLE_BYTES || this.isLost) return false;
    const alike = this.#idle.get(byteLength);
    if (alike === undefined) this.#idle.set(byteLength, [allocation]);
    else alike.push(allocation);
    this.#idleBytes += byteLength;
    return true;
  }

  /** The device is gone, or was disposed. */
  get isLost(): boolean {
    return this.#lost !== null;
  }

  throwIfLost(): void {
    if (this.#lost !== null) throw this.#lost;
  }

  /**
   * Throws what has failed since the last check.
   * @throws {KvasirError} `device-lost`, `out-of-memory`, `engine-failed`.
   */
  async check(): Promise<void> {
    if (this.#scopes.size > 0) await Promise.all(this.#scopes);
    this.throwIfLost();
    if (this.#failure === null) return;
    const failure = this.#failure;
    this.#failure = null;
    throw failure;
  }

  /** `promise`, which never settles on some devices that are lost; then what `explain` explains. */
  async unlessLost(promise: Promise<undefined>): Promise<void> {
    promise.catch(() => {});
    const lost = this.device.lost.then(({ message }) => {
      throw new Error(message);
    });
    lost.catch(() => {});
    await Promise.race([promise, lost]);
  }

  /**
   * Throws why nothing could be read: of a loss the host may hear later than the read does.
   * @throws {KvasirError} `device-lost`, `out-of-memory`, `engine-failed`, `disposed`.
   */
  async explain(cause: unknown): Promise<never> {
    await Promise.race([
      this.device.lost,
      new Promise((resolve) => setTimeout(resolve, LOSS_WAIT_MS)),
    ]);
    await this.check();
    throw new KvasirError("device-lost", "Cannot read: the GPU gave nothing back", { cause });
  }

  dispose(): void {
    this.#isDestroyed = true;
    this.#lost ??= new KvasirError("disposed", "Cannot compute: the engine was disposed");
    this.device.destroy();
    this.#reservedBytes = 0;
  }

  #await(label: string, size: number): void {
    const scope = this.device.popErrorScope().then(
      (error) => {
        this.#scopes.delete(scope);
        if (error === null) return;
        this.#failure ??= new KvasirError(
          "out-of-memory",
          `Cannot allocate "${label}": the GPU has no room besides ${this.#reservedBytes} bytes ` +
            `that are taken, got ${size} bytes`,
        );
      },
      () => void this.#scopes.delete(scope), // the device is lost, and says so itself
    );
    this.#scopes.add(scope);
  }

  #onLost({ message, reason }: GPUDeviceLostInfo): void {
    if (this.#isDestroyed) return;
    const why = message === "" ? reason : message;
    this.#lost ??= new KvasirError("device-lost", `Cannot go on: the GPU went away, ${why}`);
  }
}

/**
 * A device with all that the adapter allows, of what is used here.
 * @returns null where there is no adapter or it gives no device.
 */
export async function openDevice(
  adapter: GPUAdapter,
  options: DeviceOptions = {},
): Promise<GpuDevice | null> {
  const device = await adapter
    .requestDevice({
      label: "kvasir",
      requiredLimits: Object.fromEntries(USED_LIMITS.map((name) => [name, adapter.limits[name]])),
      requiredFeatures: USED_FEATURES.filter((feature) => adapter.features.has(feature)),
    })
    .catch(() => null);
  return device === null ? null : new GpuDevice(device, adapter.info, options);
}

/** Whether the adapter computes on the CPU: slower there than the engine "wasm". */
export function isSoftware(adapter: GPUAdapter): boolean {
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  const names = [vendor, architecture, device, description].join(" ");
  return isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render/i.test(names);
}
