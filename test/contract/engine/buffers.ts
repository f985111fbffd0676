// Contract, part 1: memory.
import { expect, it } from "vitest";
import { randomBlocks } from "../../support/random-blocks.ts";
import { Rng } from "../../support/rng.ts";
import { onEngine, Rig, type Engines } from "../rig.ts";

const BYTES = Uint8Array.from({ length: 64 }, (_, i) => i);

export function bufferContract(engines: () => Engines): void {
  transferContract(engines);
  accountContract(engines);
  misuseContract(engines);
}

function transferContract(engines: () => Engines): void {
  it("write then read: the same bytes at the same offset", async () => {
    await onEngine(engines().engine, async (rig) => {
      const buffer = rig.bytes(BYTES);
      rig.engine.write(buffer, 16, Uint8Array.of(200, 201, 202, 203));
      const expected = BYTES.slice();
      expected.set([200, 201, 202, 203], 16);
      expect(await rig.engine.read(buffer, 0, 64)).toEqual(expected);
      expect(await rig.engine.read(buffer, 12, 8)).toEqual(expected.slice(12, 20));
    });
  });

  it("read: a copy that later writes do not change", async () => {
    await onEngine(engines().engine, async (rig) => {
      const buffer = rig.bytes(BYTES);
      const before = await rig.engine.read(buffer, 0, 64);
      rig.engine.write(buffer, 0, new Uint8Array(64));
      expect(before).toEqual(BYTES);
    });
  });

  it("slice: shares the memory, also of slices", async () => {
    await onEngine(engines().engine, async (rig) => {
      const buffer = rig.bytes(BYTES);
      const outer = rig.engine.slice(buffer, 16, 32);
      const inner = rig.engine.slice(outer, 8, 8);
      expect([outer.byteLength, inner.byteLength]).toEqual([32, 8]);
      expect(await rig.engine.read(inner, 0, 8)).toEqual(BYTES.slice(24, 32));
      rig.engine.write(inner, 4, Uint8Array.of(9, 9, 9, 9));
      expect(await rig.engine.read(buffer, 28, 4)).toEqual(Uint8Array.of(9, 9, 9, 9));
    });
  });

  it("slice: takes no bytes", async () => {
    await onEngine(engines().engine, async (rig) => {
      const buffer = rig.bytes(BYTES);
      const { bytes } = rig.engine.memory();
      rig.engine.slice(buffer, 0, 32);
      expect(rig.engine.memory().bytes).toBe(bytes);
    });
  });

  it("copy: between buffers, at offsets", async () => {
    await onEngine(engines().engine, async (rig) => {
      const [dst, src] = [rig.bytes(new Uint8Array(64)), rig.bytes(BYTES)];
      rig.engine.copy(dst, 4, src, 32, 16);
      const expected = new Uint8Array(64);
      expected.set(BYTES.slice(32, 48), 4);
      expect(await rig.engine.read(dst, 0, 64)).toEqual(expected);
    });
  });

  it("ops and writes: run in call order", async () => {
    await onEngine(engines().engine, async (rig) => {
      const [a, b] = [rig.bytes(BYTES), rig.bytes(new Uint8Array(64))];
      rig.engine.copy(b, 0, a, 0, 64);
      rig.engine.write(a, 0, new Uint8Array(64));
      expect(await rig.engine.read(b, 0, 64)).toEqual(BYTES);
    });
  });
}

function accountContract(engines: () => Engines): void {
  it("memory: grows with alloc, goes back after free, keeps the peak", () => {
    const { engine } = engines();
    const before = engine.memory();
    const buffer = engine.alloc(1 << 16, "grown");
    const during = engine.memory();
    expect(during.bytes - before.bytes).toBeGreaterThanOrEqual(1 << 16);
    expect(during.weightBytes).toBe(before.weightBytes);
    engine.free(buffer);
    const after = engine.memory();
    expect(after.bytes).toBe(before.bytes);
    expect(after.peakBytes).toBeGreaterThanOrEqual(during.bytes);
  });

  it("memory: counts weights, gives them back", () => {
    const { engine } = engines();
    const before = engine.memory();
    const rig = new Rig(engine);
    const weight = rig.weight("Q4_0", 24, 64, randomBlocks(new Rng(1), "Q4_0", 24, 64));
    const during = engine.memory();
    expect(weight.byteLength).toBe(engine.weightByteLength("Q4_0", 24, 64));
    expect(weight.byteLength).toBeGreaterThan(0);
    expect(during.weightBytes - before.weightBytes).toBe(weight.byteLength);
    expect(during.bytes - before.bytes).toBe(weight.byteLength);
    rig.release();
    expect(engine.memory().bytes).toBe(before.bytes);
    expect(engine.memory().weightBytes).toBe(before.weightBytes);
  });

  it("alloc: more than any platform gives is out-of-memory, and takes nothing", () => {
    const { engine } = engines();
    const before = engine.memory().bytes;
    const isCode = expect.objectContaining({ code: "out-of-memory" });
    expect(() => engine.alloc(2 ** 46, "huge")).toThrow(isCode);
    expect(engine.memory().bytes).toBe(before);
    expect(engine.memory().limitBytes).toBeGreaterThan(before);
  });

  it("alloc and free, many sizes in mixed order: contents stay, nothing leaks", async () => {
    const { engine } = engines();
    const rng = new Rng(77);
    const before = engine.memory().bytes;
    const live: { buffer: ReturnType<typeof engine.alloc>; bytes: Uint8Array }[] = [];
    for (let round = 0; round < 60; round++) {
      if (live.length > 5 || (live.length > 0 && rng.integer(0, 3) === 0)) {
        const [gone] = live.splice(rng.integer(0, live.length), 1);
        if (!gone) continue;
        expect(await engine.read(gone.buffer, 0, gone.bytes.length)).toEqual(gone.bytes);
        engine.free(gone.buffer);
      } else {
        const bytes = rng.bytes(4 * rng.integer(1, 700));
        const buffer = engine.alloc(bytes.length, `mixed ${round}`);
        engine.write(buffer, 0, bytes);
        live.push({ buffer, bytes });
      }
    }
    for (const { buffer, bytes } of live) {
      expect(await engine.read(buffer, 0, bytes.length)).toEqual(bytes);
      engine.free(buffer);
    }
    expect(engine.memory().bytes).toBe(before);
  });
}

function misuseContract(engines: () => Engines): void {
  it("free: the buffer and its slices throw when used, a second free throws", async () => {
    const { engine } = engines();
    const buffer = engine.alloc(64, "gone");
    const slice = engine.slice(buffer, 0, 32);
    engine.free(buffer);
    expect(() => engine.write(buffer, 0, BYTES)).toThrow();
    expect(() => engine.write(slice, 0, BYTES.slice(0, 32))).toThrow();
    await expect((async () => engine.read(buffer, 0, 4))()).rejects.toThrow();
    expect(() => engine.free(buffer)).toThrow();
  });

  it("write, copy, slice: past the end throw", () => {
    const { engine } = engines();
    const buffer = engine.alloc(64, "short");
    const other = engine.alloc(128, "long");
    expect(() => engine.write(buffer, 4, BYTES)).toThrow();
    expect(() => engine.slice(buffer, 32, 64)).toThrow();
    expect(() => engine.copy(buffer, 0, other, 0, 128)).toThrow();
    engine.free(buffer);
    engine.free(other);
  });

  it("freeWeight: the weight throws when used", () => {
    const { engine } = engines();
    const rig = new Rig(engine);
    const weight = engine.createWeight("gone", "F32", 8, 32);
    engine.writeWeightRows(weight, 0, new Uint8Array(8 * 32 * 4));
    const [out, tokens] = [rig.space(32), rig.u32([0])];
    engine.freeWeight(weight);
    expect(() => engine.embed(out, weight, tokens, 1, 1)).toThrow();
    rig.release();
  });
}
