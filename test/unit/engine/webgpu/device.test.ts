// How a device's failures become errors, and that recording has no limit that shows.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Engine } from "../../../../src/engine/engine.ts";
import { GpuDevice } from "../../../../src/engine/webgpu/device/device.ts";
import { Rig } from "../../../contract/rig.ts";
import { webGpuEngine } from "../../../support/webgpu.ts";

describe("out of memory", () => {
  const limits = { maxStorageBufferBindingSize: 1000, maxBufferSize: 1000 };
  const fake = (errors: (object | null)[]): GPUDevice =>
    ({
      limits,
      lost: new Promise(() => {}),
      features: new Set(),
      addEventListener() {},
      pushErrorScope() {},
      popErrorScope: async () => errors.shift() ?? null,
      createBuffer: () => ({ destroy() {} }),
    }) as unknown as GPUDevice;

  it("more than a buffer holds: at once, with both numbers", () => {
    const gpu = new GpuDevice(fake([]), {} as GPUAdapterInfo, {});
    expect(() => gpu.allocate("keys", 1001)).toThrow(
      expect.objectContaining({
        code: "out-of-memory",
        message: expect.stringMatching(/"keys".*at most 1000 bytes, got 1001 bytes/),
      }),
    );
    expect(gpu.reservedBytes).toBe(0);
  });

  it("what the device refuses: at the next check, once", async () => {
    const gpu = new GpuDevice(fake([null, { message: "no" }]), {} as GPUAdapterInfo, {});
    gpu.allocate("first", 64);
    gpu.allocate("second", 128);
    await expect(gpu.check()).rejects.toMatchObject({
      code: "out-of-memory",
      message: expect.stringMatching(/"second".*192 bytes .* got 128 bytes/),
    });
    await expect(gpu.check()).resolves.toBeUndefined();
  });
});

describe("recording", () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await webGpuEngine();
  });
  afterAll(() => engine.dispose());

  it("more dispatches than the parameters' arena holds: each with its own", async () => {
    const rig = new Rig(engine);
    const n = 700;
    const values = Float32Array.from({ length: n * 3 }, (_, i) => (i % 3 === (i * 7) % 3 ? i : 0));
    const expected = Array.from({ length: n }, (_, i) => {
      const row = Array.from(values.subarray(3 * i, 3 * i + 3));
      return row.indexOf(Math.max(...row));
    });
    const [logits, out] = [rig.f32(values), rig.u32(new Uint32Array(n))];
    for (let i = 0; i < n; i++) {
      engine.argmax(engine.slice(out, 4 * i, 4), engine.slice(logits, 12 * i, 12), 1, 3);
    }
    expect(Array.from(await rig.readU32(out))).toEqual(expected);
    rig.release();
  });

  it("a range that no binding can hold: out-of-memory with both numbers, and the engine goes on", async () => {
    const small = await webGpuEngine({ maxBindingBytes: 4096 });
    const rig = new Rig(small);
    const [wide, out] = [rig.f32(new Float32Array(2000).fill(1)), rig.u32([9])];
    expect(() => small.argmax(out, wide, 1, 2000)).toThrow(
      expect.objectContaining({
        code: "out-of-memory",
        message: expect.stringMatching(/at most 4096 bytes at once, got 8000 bytes/),
      }),
    );
    small.argmax(out, small.slice(wide, 4000, 400), 1, 100);
    expect(Array.from(await rig.readU32(out))).toEqual([0]);
    rig.release();
    small.dispose();
  });

  it("copies within one buffer, ranges that overlap too", async () => {
    const rig = new Rig(engine);
    const buffer = rig.u32([1, 2, 3, 4, 5, 6]);
    engine.copy(buffer, 4, buffer, 0, 16);
    expect(Array.from(await rig.readU32(buffer))).toEqual([1, 1, 2, 3, 4, 6]);
    rig.release();
  });

  it("a buffer that is freed before what was recorded with it has run", async () => {
    const rig = new Rig(engine);
    const out = rig.u32([9]);
    const logits = engine.alloc(16, "logits");
    engine.write(logits, 0, new Uint8Array(Float32Array.of(1, 5, 2, 3).buffer));
    engine.argmax(out, logits, 1, 4);
    engine.free(logits);
    expect(Array.from(await rig.readU32(out))).toEqual([1]);
    rig.release();
  });

  it("dispose: what comes later is refused with a code", async () => {
    const other = await webGpuEngine();
    const buffer = other.alloc(16, "late");
    other.dispose();
    expect(() => other.alloc(16, "later")).toThrow(expect.objectContaining({ code: "disposed" }));
    await expect(other.read(buffer, 0, 16)).rejects.toMatchObject({ code: "disposed" });
  });
});
