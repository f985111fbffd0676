import { describe, expect, it, vi } from "vitest";
import { KvasirError } from "../../../src/errors.ts";
import type { ByteSource } from "../../../src/gguf/byte-source.ts";
import { parseSharded, shardNames } from "../../../src/gguf/shards.ts";
import { BufferSource } from "../../../src/gguf/sources.ts";
import {
  scalar,
  type WriterTensor,
  type WriterValue,
  writeGguf,
} from "../../support/gguf-writer.ts";

const tensor = (name: string, value: number): WriterTensor => ({
  name,
  type: "F32",
  dims: [1],
  data: new Uint8Array(new Float32Array([value]).buffer),
});

function shard(
  no: number,
  tensors: readonly WriterTensor[],
  more: Record<string, WriterValue> = {},
) {
  const metadata = {
    "split.no": scalar("u16", no),
    "split.count": scalar("u16", 3),
    "split.tensors.count": scalar("i32", 3),
    ...more,
  };
  return writeGguf({ metadata, tensors });
}

const good = () => [
  shard(0, [tensor("a", 1)], { "general.name": "first" }),
  shard(1, [tensor("b", 2)]),
  shard(2, [tensor("c", 3)]),
];

function openAll(shards: readonly Uint8Array[]) {
  const name = (i: number) => `/models/m-0000${i + 1}-of-00003.gguf`;
  const closed: string[] = [];
  const source = (i: number): ByteSource =>
    Object.assign(new BufferSource(shards[i] as Uint8Array, name(i)), {
      close: async () => void closed.push(name(i)),
    });
  const open = vi.fn(async (wanted: string) => {
    const i = shards.findIndex((_, at) => name(at) === wanted);
    if (i < 0) throw new KvasirError("not-found", `Cannot open "${wanted}"`);
    return source(i);
  });
  return { first: source(0), open, closed };
}

describe("shardNames", () => {
  it("names all shards from the first's path or URL", () => {
    expect(shardNames("a/m-00001-of-00003.gguf")).toEqual([
      "a/m-00001-of-00003.gguf",
      "a/m-00002-of-00003.gguf",
      "a/m-00003-of-00003.gguf",
    ]);
    expect(shardNames("https://x/m-00001-of-00002.gguf?download=1")?.[1]).toBe(
      "https://x/m-00002-of-00002.gguf?download=1",
    );
  });

  it("gives null for whole files", () => {
    expect(shardNames("m.gguf")).toBeNull();
    expect(shardNames("m-00001-of-00001.gguf")).toBeNull();
  });

  it("asks for the first shard", () => {
    expect(() => shardNames("m-00002-of-00003.gguf")).toThrow(
      'Cannot open "m-00002-of-00003.gguf": give the first shard, "m-00001-of-00003.gguf", got shard 2 of 3',
    );
  });
});

describe("parseSharded", () => {
  it("merges the shards; tensors know their source", async () => {
    const { first, open, closed } = openAll(good());
    const file = await parseSharded(first, open);
    expect([...file.tensors.keys()]).toEqual(["a", "b", "c"]);
    expect(file.sources.map((source) => source.name.slice(-19))).toEqual([
      "-00001-of-00003.gguf".slice(1),
      "-00002-of-00003.gguf".slice(1),
      "-00003-of-00003.gguf".slice(1),
    ]);
    expect(file.metadata.get("general.name")).toBe("first");
    for (const [name, value] of [
      ["a", 1],
      ["b", 2],
      ["c", 3],
    ] as const) {
      const info = file.tensors.get(name);
      const bytes = await info?.source.read(info.byteOffset, info.byteLength);
      expect(new DataView(bytes?.buffer as ArrayBuffer).getFloat32(0, true)).toBe(value);
    }
    expect(closed).toEqual([]);
  });

  it("opens nothing for a whole file", async () => {
    const { open } = openAll([]);
    const file = await parseSharded(
      new BufferSource(writeGguf({ tensors: [tensor("a", 1)] })),
      open,
    );
    expect(file.tensors.size).toBe(1);
    expect(open).not.toHaveBeenCalled();
  });

  it.each<[string, Uint8Array[], string, string]>([
    [
      "a shard is missing",
      good().slice(0, 2),
      "not-found",
      'shard 3 of 3, "/models/m-00003-of-00003.gguf", cannot be opened',
    ],
    [
      "two are swapped",
      [good()[0], good()[2], good()[1]] as Uint8Array[],
      "bad-gguf",
      'key "split.no" of shard 2 must be 1, got 2',
    ],
    [
      "one is of another split",
      [
        good()[0],
        shard(1, [tensor("b", 2)], { "split.count": scalar("u16", 4) }),
        good()[2],
      ] as Uint8Array[],
      "bad-gguf",
      'key "split.count" must be 3 as in the first shard, got 4',
    ],
    [
      "one is a whole file",
      [good()[0], writeGguf({}), good()[2]] as Uint8Array[],
      "bad-gguf",
      'key "split.no" of shard 2 must be 1, got undefined',
    ],
    [
      "a tensor is in two",
      [good()[0], shard(1, [tensor("a", 2)]), good()[2]] as Uint8Array[],
      "bad-gguf",
      'tensor "a" is in another shard too',
    ],
    [
      "tensors are missing",
      [good()[0], shard(1, []), good()[2]] as Uint8Array[],
      "bad-gguf",
      'key "split.tensors.count" is 3, the shards hold 2',
    ],
    [
      "one is cut",
      [good()[0], good()[1]?.subarray(0, 90), good()[2]] as Uint8Array[],
      "bad-gguf",
      "Cannot parse GGUF",
    ],
  ])("refuses when %s, and closes what it opened", async (_, shards, code, message) => {
    const { first, open, closed } = openAll(shards);
    await expect(parseSharded(first, open)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
    const nOpened = open.mock.settledResults.filter(({ type }) => type === "fulfilled").length;
    expect(closed).toHaveLength(nOpened);
  });

  it("refuses a first shard under a name that leads to no other", async () => {
    const source = new BufferSource(good()[0] as Uint8Array, "renamed.gguf");
    await expect(parseSharded(source, vi.fn())).rejects.toMatchObject({
      code: "bad-gguf",
      message: expect.stringContaining('its name must end in "-00001-of-00003.gguf"') as string,
    });
  });
});
