// Tries variants on a device: each must give known answers there before it is used.
//
// One submit and one read for all of them. A variant that does not compile, or gives one wrong bit, is
// off, with the reason; the plain text then does its work.
import { type GpuDevice, USAGE } from "../device/device.ts";
import { type Kernel, Pipelines, SLOT_BYTES } from "../device/pipelines.ts";
import type { SelfTest, Variant, VariantName } from "../device/variant.ts";

const MAP_READ_MODE = 0x1; // GPUMapMode.READ

/** What became of a variant on a device. */
export interface VariantReport {
  readonly name: VariantName;
  readonly isUsed: boolean;
  /** It is there, and does not work. */
  readonly isRefused: boolean;
  /** Why it is not used; null where it is. */
  readonly reason: string | null;
}

/** A variant that the device can compile, and the kernels of its tests. */
interface Trial {
  readonly variant: Variant;
  readonly kernels: readonly Kernel[];
}

/**
 * Has the device use those of `variants` that work on it.
 *
 * @param variants In order of preference; must come before the device's first kernel.
 * @returns One report for each.
 */
export async function chooseVariants(
  gpu: GpuDevice,
  variants: readonly Variant[],
): Promise<VariantReport[]> {
  const reasons = new Map<Variant, string | null>();
  const trials: Trial[] = [];
  for (const variant of variants) {
    const compiled = missing(gpu, variant) ?? (await compile(gpu, variant));
    if (typeof compiled === "string") reasons.set(variant, compiled);
    else trials.push(compiled);
  }
  const answers = await answersOf(gpu, trials);
  for (const [i, { variant }] of trials.entries()) {
    reasons.set(variant, answers === null ? "the GPU gave no answer" : judge(variant, answers[i]));
  }
  gpu.variants = variants.filter((variant) => reasons.get(variant) === null);
  return variants.map((variant) => {
    const reason = reasons.get(variant) ?? null;
    const isRefused = reason !== null && missing(gpu, variant) === null;
    return { name: variant.name, isUsed: reason === null, isRefused, reason };
  });
}

function missing(gpu: GpuDevice, { feature, languageFeature }: Variant): string | null {
  if (feature !== null && !gpu.has(feature)) return `the adapter has no ${feature}`;
  if (languageFeature !== null && !gpu.hasInLanguage(languageFeature)) {
    return `WGSL has no ${languageFeature} here`;
  }
  return null;
}

/** The variant's kernels, or why there are none. */
async function compile(gpu: GpuDevice, variant: Variant): Promise<Trial | string> {
  const { device } = gpu;
  const pipelines = new Pipelines(gpu, [variant]);
  const listen = listenFor(device);
  const kernels = variant.tests.map(({ shader, constants }) => pipelines.kernel(shader, constants));
  const error = await listen();
  if (error === null) return { variant, kernels };
  return `it does not compile, ${error.message.split("\n", 1)[0] ?? ""}`;
}

/** @returns What to call for the first error since, which nobody else hears of then. */
function listenFor(device: GPUDevice): () => Promise<GPUError | null> {
  const filters = ["validation", "internal"] as const;
  for (const filter of filters) device.pushErrorScope(filter);
  return async () => {
    const popped = filters.map(() => device.popErrorScope().catch(() => null));
    const errors = await Promise.all(popped);
    return errors.find((error) => error !== null) ?? null;
  };
}

/** What each trial's tests gave, one after the other; null where nothing can be read. */
async function answersOf(
  gpu: GpuDevice,
  trials: readonly Trial[],
): Promise<Uint32Array[][] | null> {
  const { device } = gpu;
  const runs = trials.flatMap(({ variant, kernels }) =>
    variant.tests.map((test, i) => ({ test, kernel: kernels[i] as Kernel })),
  );
  if (runs.length === 0) return [];
  const buffers: GPUBuffer[] = [];
  const room = (size: number, usage: number): GPUBuffer => {
    const buffer = device.createBuffer({ size, usage });
    buffers.push(buffer);
    return buffer;
  };
  const nBytes = runs.reduce((sum, { test }) => sum + test.expected.byteLength, 0);
  const staging = room(nBytes, USAGE.mapRead | USAGE.copyDst);
  const listen = listenFor(device);
  const encoder = device.createCommandEncoder();
  let at = 0;
  for (const { test, kernel } of runs) {
    const out = dispatch(device, encoder, kernel, test, room);
    encoder.copyBufferToBuffer(out, 0, staging, at, test.expected.byteLength);
    at += test.expected.byteLength;
  }
  device.queue.submit([encoder.finish()]);
  const error = await listen();
  try {
    if (error !== null) return null;
    await gpu.unlessLost(staging.mapAsync(MAP_READ_MODE));
    const words = new Uint32Array(staging.getMappedRange().slice(0));
    let begin = 0;
    return trials.map(({ variant }) =>
      variant.tests.map(({ expected: { length } }) => words.subarray(begin, (begin += length))),
    );
  } catch {
    return null;
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
}

/** @returns Where the answer lies. */
function dispatch(
  device: GPUDevice,
  encoder: GPUCommandEncoder,
  kernel: Kernel,
  { params, input, expected }: SelfTest,
  room: (size: number, usage: number) => GPUBuffer,
): GPUBuffer {
  const from = room(input.byteLength, USAGE.storage | USAGE.copyDst);
  const out = room(expected.byteLength, USAGE.storage | USAGE.copySrc);
  const uniform = room(SLOT_BYTES, USAGE.uniform | USAGE.copyDst);
  device.queue.writeBuffer(from, 0, input as Uint32Array<ArrayBuffer>);
  device.queue.writeBuffer(uniform, 0, params as Uint32Array<ArrayBuffer>);
  const group = device.createBindGroup({
    layout: kernel.layout,
    entries: [uniform, from, out].map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const pass = encoder.beginComputePass();
  pass.setPipeline(kernel.pipeline);
  pass.setBindGroup(0, group, [0]);
  pass.dispatchWorkgroups(1);
  pass.end();
  return out;
}

/** Why the answers show that a variant does not work; null where they are right. */
function judge({ tests }: Variant, answers: readonly Uint32Array[] | undefined): string | null {
  for (const [i, { shader, expected }] of tests.entries()) {
    const wrong = expected.findIndex((word, at) => word !== answers?.[i]?.[at]);
    if (wrong >= 0) return `its self-test "${shader.name}" gave a wrong word at ${wrong}`;
  }
  return null;
}
