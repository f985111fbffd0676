// Slices of tensors come in order and right, few buffers serve them all, and failures reach the reader.
import { describe, expect, it } from "vitest";
import type { ByteSource } from "../../../src/gguf/byte-source.ts";
import { BufferSource } from "../../../src/gguf/sources.ts";
import type { TensorInfo } from "../../../src/gguf/tensor-info.ts";
import { TENSOR_TYPES } from "../../../src/gguf/tensor-type.ts";
import { ReadAhead } from "../../../src/weights/read-ahead.ts";
import { Rng } from "../../support/rng.ts";

const MIB = 1 << 20;
const bytes = new Uint8Array(40 * MIB);
new Uint32Array(bytes.buffer).forEach((_, i, words) => (words[i] = Math.imul(i + 1, 2654435761)));

/** Reads into the caller's array, late and at random times; notes what is under way. */
class LateSource extends BufferSource {
  readonly arrays = new Set<ArrayBufferLike>();
  underWayBytes = 0;
  mostBytes = 0;
  failAt = Infinity;

  async readInto(byteOffset: number, out: Uint8Array): Promise<void> {
    this.arrays.add(out.buffer);
    this.underWayBytes += out.byteLength;
    this.mostBytes = Math.max(this.mostBytes, this.underWayBytes);
    await new Promise((resolve) => setTimeout(resolve, Math.imul(byteOffset, 40503) & 3));
    this.underWayBytes -= out.byteLength;
    if (byteOffset >= this.failAt) throw new Error("broken");
    out.set(bytes.subarray(byteOffset, byteOffset + out.byteLength));
  }
}

/** Tensors of one to four slices each, over the whole file. */
function tensorsOf(source: ByteSource): { info: TensorInfo; slices: number[] }[] {
  const rng = new Rng(5);
  const tensors: { info: TensorInfo; slices: number[] }[] = [];
  for (let byteOffset = 0; byteOffset < 36 * MIB;) {
    const isTiny = tensors.length % 3 === 0;
    const slices = Array.from(
      { length: 1 + rng.integer(0, 4) },
      () => 1 + rng.integer(0, isTiny ? 1000 : MIB),
    );
    const byteLength = slices.reduce((sum, length) => sum + length, 0);
    const type = TENSOR_TYPES.F32;
    const info = { name: "t", dims: [], type, byteOffset, byteLength, source };
    tensors.push({ info: info as unknown as TensorInfo, slices });
    byteOffset += byteLength + rng.integer(0, 100);
  }
  return tensors;
}

async function readAll(source: ByteSource): Promise<number> {
  const tensors = tensorsOf(source);
  const reads = new ReadAhead(tensors);
  let n = 0;
  for (const { info, slices } of tensors) {
    let at = info.byteOffset;
    for (const length of slices) {
      const slice = await reads.next();
      await new Promise((resolve) => setTimeout(resolve)); // others may be read meanwhile
      expect(Buffer.compare(slice, bytes.subarray(at, at + length))).toBe(0);
      at += length;
      n++;
    }
  }
  return n;
}

describe("ReadAhead", () => {
  it("gives every slice in order, from few buffers, few bytes ahead", async () => {
    const source = new LateSource(bytes);
    expect(await readAll(source)).toBeGreaterThan(60);
    expect(source.arrays.size).toBeLessThanOrEqual(10);
    expect(source.mostBytes).toBeLessThanOrEqual(8 * MIB);
    expect(source.mostBytes).toBeGreaterThan(MIB);
  });

  it("gives the same from a source that makes its own arrays", async () => {
    expect(await readAll(new BufferSource(bytes))).toBeGreaterThan(60);
  });

  it("throws what a read threw, when its slice is asked for", async () => {
    const source = new LateSource(bytes);
    source.failAt = 10 * MIB;
    await expect(readAll(source)).rejects.toThrow("broken");
  });
});
