// What a GPU and its driver can do at most, by the plainest programs: the rate of a copy, the cost of
// a dispatch that waits for the one before, a read-back, and a matrix product with a 64 x 64 tile.
// Run in the same job as what is compared with it: limits of another stack say nothing.
import { isSoftware } from "../../src/engine/webgpu/device/device.ts";
import { median } from "../statistics.ts";

export interface GpuLimits {
  readonly adapter: string;
  /** Bytes read and written, together. */
  readonly copyBytesPerSecond: number;
  readonly dispatchMs: number;
  readonly readBackMs: number;
  readonly matMulFlops: number;
}

/** How much of each is done. */
interface Sizes {
  readonly rounds: number;
  readonly copyBytes: number;
  readonly nCopies: number;
  readonly nDispatches: number;
  readonly nReadBacks: number;
  /** Rows and columns of the matrices. */
  readonly matrix: number;
  readonly nProducts: number;
}

const CARD: Sizes = {
  rounds: 5,
  copyBytes: 512 * 1024 * 1024,
  nCopies: 20,
  nDispatches: 2000,
  nReadBacks: 20,
  matrix: 4096,
  nProducts: 4,
};

/** For adapters that compute on the CPU: enough to see that it works. */
const SOFTWARE: Sizes = {
  rounds: 2,
  copyBytes: 4 * 1024 * 1024,
  nCopies: 2,
  nDispatches: 100,
  nReadBacks: 4,
  matrix: 256,
  nProducts: 1,
};

const WORKGROUP = 256;
const MAX_WORKGROUPS_X = 32_768;
const VECTOR_BYTES = 16;
const TILE = 64;

const addOne = /* wgsl */ `
@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> b: array<vec4f>;
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) n: vec3u) {
  let i = id.x + id.y * n.x * ${WORKGROUP}u;
  b[i] = a[i] + vec4f(1.0);
}`;

// c = a b, all `size` x `size`, row-major; 16 x 16 threads with 4 x 4 outputs each, 16 columns a step.
const productOf = (size: number): string => /* wgsl */ `
const N4 = ${size / 4}u;
@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> c: array<vec4f>;
var<workgroup> left: array<array<f32, 65>, 16>;
var<workgroup> right: array<array<vec4f, 16>, 16>;
@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) at: vec3u) {
  let thread = at.y * 16u + at.x;
  var sums: array<vec4f, 4>;
  for (var i = 0u; i < 4u; i++) { sums[i] = vec4f(0.0); }
  for (var k = 0u; k < ${size}u; k += 16u) {
    let row = thread / 4u;
    let part = thread % 4u;
    let values = a[(tile.y * 64u + row) * N4 + k / 4u + part];
    for (var i = 0u; i < 4u; i++) { left[part * 4u + i][row] = values[i]; }
    right[thread / 16u][thread % 16u] = b[(k + thread / 16u) * N4 + tile.x * 16u + thread % 16u];
    workgroupBarrier();
    for (var j = 0u; j < 16u; j++) {
      let column = right[j][at.x];
      for (var i = 0u; i < 4u; i++) {
        sums[i] = fma(vec4f(left[j][at.y * 4u + i]), column, sums[i]);
      }
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < 4u; i++) {
    c[(tile.y * 64u + at.y * 4u + i) * N4 + tile.x * 16u + at.x] = sums[i];
  }
}`;

/** @returns null without an adapter. */
export async function gpuLimits(gpu: GPU): Promise<GpuLimits | null> {
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null) return null;
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  const device = await adapter.requestDevice({
    requiredLimits: { maxBufferSize, maxStorageBufferBindingSize },
  });
  try {
    const sizes = isSoftware(adapter) ? SOFTWARE : CARD;
    const probe = new Probe(device, sizes);
    const copyBytes = Math.min(sizes.copyBytes, maxBufferSize, maxStorageBufferBindingSize);
    const { vendor, architecture, description } = adapter.info;
    return {
      adapter: [vendor, architecture, description].filter((part) => part !== "").join(" "),
      copyBytesPerSecond: await probe.copyRate(copyBytes),
      dispatchMs: await probe.dispatchMs(),
      readBackMs: await probe.readBackMs(),
      matMulFlops: await probe.productRate(),
    };
  } finally {
    device.destroy();
  }
}

// The flags of GPUBufferUsage and GPUMapMode: not every platform has those names in the global scope.
const [MAP_READ, COPY_SRC, COPY_DST, STORAGE] = [0x1, 0x4, 0x8, 0x80];
const READ_MODE = 0x1;

class Probe {
  readonly #device: GPUDevice;
  readonly #sizes: Sizes;

  constructor(device: GPUDevice, sizes: Sizes) {
    this.#device = device;
    this.#sizes = sizes;
  }

  async copyRate(byteLength: number): Promise<number> {
    const [a, b] = [this.#buffer(byteLength), this.#buffer(byteLength)];
    const pipeline = this.#pipeline(addOne);
    const group = this.#group(pipeline, [a, b]);
    const nWorkgroups = Math.floor(byteLength / VECTOR_BYTES / WORKGROUP);
    const x = Math.min(nWorkgroups, MAX_WORKGROUPS_X);
    const y = Math.floor(nWorkgroups / x);
    const ms = await this.#time(this.#sizes.nCopies, (pass) => {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(x, y);
    });
    for (const buffer of [a, b]) buffer.destroy();
    return (2 * x * y * WORKGROUP * VECTOR_BYTES) / (ms / 1000);
  }

  /** Each reads what the one before wrote. */
  async dispatchMs(): Promise<number> {
    const [a, b] = [this.#buffer(1 << 16), this.#buffer(1 << 16)];
    const pipeline = this.#pipeline(addOne);
    const groups = [this.#group(pipeline, [a, b]), this.#group(pipeline, [b, a])];
    return this.#time(this.#sizes.nDispatches, (pass, i) => {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, groups[i % 2] ?? null);
      pass.dispatchWorkgroups(16);
    });
  }

  async readBackMs(): Promise<number> {
    const source = this.#buffer(256);
    const target = this.#device.createBuffer({ size: 256, usage: MAP_READ | COPY_DST });
    const times: number[] = [];
    for (let i = 0; i < this.#sizes.nReadBacks; i++) {
      const started = performance.now();
      const encoder = this.#device.createCommandEncoder();
      encoder.copyBufferToBuffer(source, 0, target, 0, 256);
      this.#device.queue.submit([encoder.finish()]);
      await target.mapAsync(READ_MODE);
      target.unmap();
      times.push(performance.now() - started);
    }
    return median(times);
  }

  async productRate(): Promise<number> {
    const { matrix: size, nProducts } = this.#sizes;
    const buffers = [1, 2, 3].map(() => this.#buffer(size * size * 4));
    // Zeros are faster than numbers on some cards.
    const noise = Float32Array.from(
      { length: size * size },
      (_, i) => ((i * 2654435761) % 997) / 997,
    );
    for (const buffer of buffers) this.#device.queue.writeBuffer(buffer, 0, noise);
    const pipeline = this.#pipeline(productOf(size));
    const group = this.#group(pipeline, buffers);
    const ms = await this.#time(nProducts, (pass) => {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(size / TILE, size / TILE);
    });
    return (2 * size ** 3) / (ms / 1000);
  }

  /** Milliseconds of one of `n` calls in one pass, the median of a few rounds. */
  async #time(
    n: number,
    record: (pass: GPUComputePassEncoder, i: number) => void,
  ): Promise<number> {
    const run = async (count: number): Promise<void> => {
      const encoder = this.#device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      for (let i = 0; i < count; i++) record(pass, i);
      pass.end();
      this.#device.queue.submit([encoder.finish()]);
      await this.#device.queue.onSubmittedWorkDone();
    };
    await run(n);
    const times: number[] = [];
    for (let round = 0; round < this.#sizes.rounds; round++) {
      const started = performance.now();
      await run(n);
      times.push((performance.now() - started) / n);
    }
    return median(times);
  }

  #buffer(size: number): GPUBuffer {
    return this.#device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST });
  }

  #pipeline(code: string): GPUComputePipeline {
    const module = this.#device.createShaderModule({ code });
    return this.#device.createComputePipeline({ layout: "auto", compute: { module } });
  }

  #group(pipeline: GPUComputePipeline, buffers: readonly GPUBuffer[]): GPUBindGroup {
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    return this.#device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  }
}
