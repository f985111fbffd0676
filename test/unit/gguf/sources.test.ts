import { describe, expect, it, vi } from "vitest";
import type { ByteSource } from "../../../src/gguf/byte-source.ts";
import { BlobSource, BufferSource, ConcatSource } from "../../../src/gguf/sources.ts";

const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);

const sources: readonly (readonly [string, () => ByteSource])[] = [
  ["BufferSource", () => new BufferSource(bytes, "b")],
  ["BufferSource of an ArrayBuffer", () => new BufferSource(bytes.slice().buffer, "b")],
  [
    "BufferSource of a window",
    () => new BufferSource(new Uint8Array([9, 9, ...bytes, 9]).subarray(2, 102), "b"),
  ],
  ["BlobSource", () => new BlobSource(new Blob([bytes]), "b")],
  [
    "ConcatSource",
    () => {
      const cuts = [0, 1, 1, 40, 99, 100];
      const parts = cuts.slice(1).map((end, i) => new BufferSource(bytes.subarray(cuts[i], end)));
      return new ConcatSource(parts, "b");
    },
  ],
];

describe.each(sources)("%s", (_, create) => {
  it("tells its name and size", () => {
    expect(create()).toMatchObject({ name: "b", size: 100 });
  });

  it("reads every range", async () => {
    const source = create();
    for (const [begin, end] of [
      [0, 100],
      [0, 0],
      [100, 100],
      [0, 1],
      [1, 40],
      [39, 41],
      [30, 100],
      [99, 100],
    ] as const) {
      expect(await source.read(begin, end - begin)).toEqual(bytes.slice(begin, end));
    }
  });

  it("gives arrays that the caller owns", async () => {
    const source = create();
    (await source.read(0, 10)).fill(77);
    expect(await source.read(0, 10)).toEqual(bytes.slice(0, 10));
  });

  it.each([
    [90, 11],
    [101, 0],
    [-1, 2],
    [0, -1],
  ])("refuses %i + %i", async (begin, length) => {
    await expect(create().read(begin, length)).rejects.toMatchObject({
      code: "bad-gguf",
      message: `Cannot parse GGUF "b": bytes ${begin} to ${begin + length} are wanted, the file has 100 bytes`,
    });
  });

  it("stops when aborted", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(create().read(30, 20, signal)).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("ConcatSource", () => {
  it("closes its parts", async () => {
    const close = vi.fn(async () => {});
    const part = Object.assign(new BufferSource(bytes), { close });
    await new ConcatSource([part, new BufferSource(bytes), part]).close();
    expect(close).toHaveBeenCalledTimes(2);
  });
});

describe("BlobSource", () => {
  it("takes a File's name", () => {
    expect(new BlobSource(new File([bytes], "model.gguf")).name).toBe("model.gguf");
  });

  it("says that a file's bytes are gone, with the cause", async () => {
    const cause = new Error("changed on disk");
    const blob = new Blob([bytes]);
    blob.slice = () => ({ arrayBuffer: () => Promise.reject(cause) }) as unknown as Blob;
    await expect(new BlobSource(blob).read(0, 1)).rejects.toMatchObject({
      code: "not-found",
      cause,
    });
  });
});
