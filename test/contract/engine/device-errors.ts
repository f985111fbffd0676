// What a GPU's device complains about on its own: an error with a code, in the next read.
import { expect, it } from "vitest";
import { frequenciesOf } from "../../../src/engine/reference/ops.ts";
import { createWebGpuEngine } from "../../../src/engine/webgpu/create.ts";

/** @param gpu Called in the tests; the devices are theirs alone. */
export function deviceErrorContract(gpu: () => GPU): void {
  it("an invalid call: the next read says engine-failed in the device's words, and the engine goes on", async () => {
    const devices: GPUDevice[] = [];
    const result = await createWebGpuEngine({
      gpu: watchDevices(gpu(), devices),
      ...{ ropeFrequencies: frequenciesOf, allowsSoftware: true },
    });
    if (!("engine" in result)) throw new Error(result.refusal);
    const { engine } = result;
    const buffer = engine.alloc(16, "bytes");
    engine.write(buffer, 0, Uint8Array.of(1, 2, 3, 4));
    // Only copies may write to a buffer that is mapped for reading: MAP_READ | STORAGE.
    devices[0]?.createBuffer({ label: "wrong", size: 16, usage: 0x1 | 0x80 });
    const read = (): Promise<Uint8Array> => engine.read(buffer, 0, 4);
    const failure = await firstFailure(read);
    expect(failure).toEqual(
      expect.objectContaining({
        name: "KvasirError",
        code: "engine-failed",
        message: expect.stringMatching(/^Cannot compute: the GPU says .*usage/is),
      }),
    );
    expect(await read()).toEqual(Uint8Array.of(1, 2, 3, 4));
    engine.dispose();
  });
}

/** Devices tell errors when the host turns to them: at the first read, or at one soon after. */
async function firstFailure(read: () => Promise<Uint8Array>): Promise<unknown> {
  for (let i = 0; i < 20; i++) {
    const failure = await read().then(
      () => null,
      (error: unknown) => error,
    );
    if (failure !== null) return failure;
  }
  return null;
}

/** `gpu`, which notes the devices that it gives. */
function watchDevices(gpu: GPU, devices: GPUDevice[]): GPU {
  const requestAdapter: GPU["requestAdapter"] = async (options) => {
    const adapter = await gpu.requestAdapter(options);
    if (adapter === null) return null;
    const { info, limits, features } = adapter;
    const requestDevice: GPUAdapter["requestDevice"] = async (descriptor) => {
      const device = await adapter.requestDevice(descriptor);
      devices.push(device);
      return device;
    };
    return { info, limits, features, requestDevice } as GPUAdapter;
  };
  return { requestAdapter } as GPU;
}
