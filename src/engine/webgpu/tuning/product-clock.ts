// Times products with a matrix of zeros, as decode and prefill have them.
import { GpuBuffer } from "../device/buffers.ts";
import type { GpuDevice } from "../device/device.ts";
import type { Tuning } from "../device/tuning.ts";
import { OpContext } from "../ops/op-context.ts";
import { ProjectOps } from "../ops/project.ts";
import { type GpuWeight, Weights } from "../weights/weights.ts";

/** About a layer's matrix in a small model. */
const SIZE = 1536;
/** Tokens, and products of a batch: long beside what a submit and a read take. */
const BATCHES = {
  decode: { nTokens: 1, nProducts: 64 },
  prefill: { nTokens: 256, nProducts: 4 },
} as const;
export type Work = keyof typeof BATCHES;

export class ProductClock {
  readonly #gpu: GpuDevice;
  readonly #context: OpContext;
  readonly #weights: Weights;
  readonly #weight: GpuWeight;
  readonly #x: GpuBuffer;
  readonly #input: GpuBuffer;
  readonly #ops = new Map<string, ProjectOps>();

  /** @throws {KvasirError} `out-of-memory`, `device-lost`. */
  constructor(gpu: GpuDevice) {
    this.#gpu = gpu;
    this.#context = new OpContext(gpu);
    this.#weights = new Weights(this.#context);
    this.#weight = this.#weights.create("tuning", "Q4_0", SIZE, SIZE);
    const buffer = (): GpuBuffer => {
      const byteLength = 4 * BATCHES.prefill.nTokens * SIZE;
      const allocation = gpu.allocate("tuning", byteLength);
      return new GpuBuffer("tuning", allocation, 0, byteLength, false);
    };
    [this.#x, this.#input] = [buffer(), buffer()];
  }

  /** @returns Milliseconds of a batch; of the first one with a tuning, what compiling takes too. */
  async time(tuning: Tuning, work: Work): Promise<number> {
    const { nTokens, nProducts } = BATCHES[work];
    const { recorder } = this.#context;
    const before = this.#gpu.tuning;
    const ops = this.#opsFor(tuning);
    const begin = performance.now();
    this.#gpu.tuning = tuning;
    for (let i = 0; i < nProducts; i++) {
      ops.projectAdd(this.#x, this.#input, this.#weight, nTokens);
    }
    this.#gpu.tuning = before;
    await recorder.read(this.#x.allocation, 0, 16);
    return performance.now() - begin;
  }

  dispose(): void {
    if (this.#gpu.isLost) return;
    this.#weights.free(this.#weight);
    for (const { allocation } of [this.#x, this.#input]) this.#gpu.destroy(allocation);
    this.#context.dispose();
  }

  /** They keep the kernels of one tuning. */
  #opsFor(tuning: Tuning): ProjectOps {
    const key = JSON.stringify(tuning);
    let ops = this.#ops.get(key);
    if (ops === undefined) this.#ops.set(key, (ops = new ProjectOps(this.#context)));
    return ops;
  }
}
