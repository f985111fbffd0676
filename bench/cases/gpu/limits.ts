import { gpuLimits, type GpuLimits } from "../../probes/gpu-limits.ts";
import { type Bench, type BenchCase, check } from "../case.ts";
import { ms } from "../metrics.ts";

/** @throws {CheckError} Without an adapter, which the engine found. */
export async function limitsOf(bench: Bench): Promise<GpuLimits> {
  const limits = await gpuLimits(await bench.gpu());
  check(limits !== null, "Cannot measure the GPU's limits: there is no adapter");
  return limits;
}

export const gpuLimit: BenchCase = {
  name: "gpu-limits",
  measures: "what the GPU can do at most: copy, dispatch, read back, a plain matrix product",
  metrics: {
    copyRate: { title: "copy, read and written", unit: "GB/s", better: "higher" },
    dispatchUs: { title: "dispatch after dispatch", unit: "us", better: "lower" },
    readBackMs: ms("read back"),
    productRate: { title: "matrix product, f32", unit: "TFLOP/s", better: "higher" },
  },
  variants: () => [{ name: "plain programs", params: { nTokens: 0, nDecode: 0 } }],
  expect: async () => null,
  async measure(bench) {
    const { adapter, copyBytesPerSecond, dispatchMs, readBackMs, matMulFlops } =
      await limitsOf(bench);
    return {
      metrics: {
        copyRate: copyBytesPerSecond / 1e9,
        dispatchUs: 1000 * dispatchMs,
        readBackMs,
        productRate: matMulFlops / 1e12,
      },
      output: { adapter },
    };
  },
};
