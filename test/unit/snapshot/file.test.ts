// The file of a saved session: what comes out is what went in, and no damage goes unseen.
import { createHash } from "node:crypto";
import { afterEach, describe, expect, test, vi } from "vitest";
import { KvasirError } from "../../../src/errors.ts";
import { encodeData } from "../../../src/snapshot/data.ts";
import { readSnapshot, writeSnapshot } from "../../../src/snapshot/file.ts";
import { Rng } from "../../support/rng.ts";

const PREFIX_BYTES = 24;
const HASH_BYTES = 32;

const SAMPLE = {
  text: 'Ø 🐦 "quoted"\n',
  numbers: [0, -0, 1.5, -1e300, NaN, Infinity, -Infinity, 2 ** 53],
  nothing: [null, undefined],
  flags: [true, false],
  big: [0n, -(2n ** 70n)],
  set: new Set<unknown>(["a", 1, new Map()]),
  map: new Map<unknown, unknown>([
    [1, { rows: Uint32Array.of(1, 2, 3) }],
    ["key", new Set([2])],
  ]),
  arrays: [
    Int8Array.of(-1),
    Uint8Array.of(1, 2, 3),
    Uint8ClampedArray.of(255),
    Int16Array.of(-300),
    Uint16Array.of(65_535),
    Int32Array.of(-(2 ** 31)),
    Uint32Array.of(2 ** 32 - 1, 7),
    Float32Array.of(0.1, NaN),
    Float64Array.of(0.1, 1 / 3),
    BigInt64Array.of(-5n),
    BigUint64Array.of(2n ** 64n - 1n),
    new Uint32Array(0),
  ],
  window: new Uint8Array([9, 8, 7, 6, 5]).subarray(1, 4),
  tagged: { $: "set", v: [1] },
  ["__proto__x"]: { constructor: "a key like any other" },
};

const bytesOf = async (blob: Blob): Promise<Uint8Array> => new Uint8Array(await blob.arrayBuffer());

async function failure(file: Uint8Array): Promise<KvasirError> {
  const error: unknown = await readSnapshot(file).catch((caught: unknown) => caught);
  if (!(error instanceof KvasirError)) throw new Error("Cannot go on: the file was accepted");
  return error;
}

/** The file with its checksum made good, by Node's own hash. */
function sealed(file: Uint8Array): Uint8Array {
  const end = file.length - HASH_BYTES;
  file.set(createHash("sha256").update(file.subarray(0, end)).digest(), end);
  return file;
}

describe("data", () => {
  test("of every kind come back as they were", async () => {
    const { data } = await readSnapshot(await writeSnapshot(SAMPLE));
    expect(data).toEqual(SAMPLE);
    // toEqual takes -0 for 0, and a missing key for undefined.
    expect(Object.is((data as typeof SAMPLE).numbers[1], -0)).toBe(true);
    expect((data as typeof SAMPLE).nothing).toStrictEqual([null, undefined]);
  });

  test.each([
    ["a Blob", (blob: Blob) => Promise.resolve(blob)],
    ["an ArrayBuffer", (blob: Blob) => blob.arrayBuffer()],
    [
      "a window on bytes",
      async (blob: Blob) => {
        const bytes = await bytesOf(blob);
        const wider = new Uint8Array(bytes.length + 6);
        wider.set(bytes, 3);
        return wider.subarray(3, 3 + bytes.length);
      },
    ],
  ])("are read from %s", async (_, convert) => {
    const { data } = await readSnapshot(await convert(await writeSnapshot(SAMPLE)));
    expect(data).toEqual(SAMPLE);
  });

  class Counter {
    n = 1;
  }
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  test.each([
    ["a function", { act: () => 1 }],
    ["a class instance", new Map([[1, new Counter()]])],
    ["a date", [new Date(0)]],
    ["a cycle", cycle],
    ["a symbol", Symbol("s")],
  ])("that are not plain are refused: %s", (_, value) => {
    expect(() => encodeData(value)).toThrow(
      expect.objectContaining({ code: "unsupported-option" }) as Error,
    );
  });

  test("a key named __proto__ stays a key", async () => {
    const hostile: unknown = JSON.parse('{"a": {"__proto__": {"isAdmin": true}}}');
    const { data } = await readSnapshot(await writeSnapshot(hostile));
    const { a } = data as { a: Record<string, unknown> };
    expect(a["isAdmin"]).toBeUndefined();
    expect(Object.keys(a)).toEqual(["__proto__"]);
  });
});

describe("the checksum", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  test("is SHA-256 over everything before, with and without the platform's", async () => {
    const file = await bytesOf(await writeSnapshot(SAMPLE));
    const end = file.length - HASH_BYTES;
    const expected = createHash("sha256").update(file.subarray(0, end)).digest();
    expect([...file.subarray(end)]).toEqual([...expected]);
    vi.stubGlobal("crypto", {});
    expect(await bytesOf(await writeSnapshot(SAMPLE))).toEqual(file);
    expect((await readSnapshot(file)).data).toEqual(SAMPLE);
  });
});

describe("damage", () => {
  test("500 files with one byte changed are refused", async () => {
    const file = await bytesOf(await writeSnapshot(SAMPLE));
    const rng = new Rng(500);
    for (let n = 0; n < 500; n++) {
      const damaged = file.slice();
      const at = rng.integer(0, file.length);
      damaged[at] = (damaged[at] ?? 0) ^ rng.integer(1, 256);
      const { code } = await failure(damaged);
      expect(code, `byte ${at}`).toBe("bad-snapshot");
    }
  });

  test("every byte of what comes before the arrays counts", async () => {
    const file = await bytesOf(await writeSnapshot({ a: 1 }));
    for (let at = 0; at < file.length; at++) {
      const damaged = file.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      expect((await failure(damaged)).code, `byte ${at}`).toBe("bad-snapshot");
    }
  });

  test("each length but its own is refused, and what is missing is said", async () => {
    const file = await bytesOf(await writeSnapshot({ a: Uint8Array.of(1, 2, 3) }));
    for (let n = 0; n < file.length; n++) {
      const { code, message } = await failure(file.slice(0, n));
      expect(code).toBe("bad-snapshot");
      expect(message).toMatch(n < 8 ? /not a saved session/ : /cut short.*bytes, got \d+$/);
    }
    const longer = new Uint8Array(file.length + 1);
    longer.set(file);
    expect((await failure(longer)).message).toMatch(/damaged/);
  });

  test("another version is named, though the checksum is right", async () => {
    const file = await bytesOf(await writeSnapshot(SAMPLE));
    file[8] = 2;
    const { code, message } = await failure(sealed(file));
    expect(code).toBe("bad-snapshot");
    expect(message).toMatch(/reads format 1, got format 2/);
  });

  test("a file of another kind is said to be one", async () => {
    expect((await failure(new TextEncoder().encode("GGUF and so on"))).message).toMatch(
      /not a saved session/,
    );
  });

  test.each([
    ["no JSON", "{"],
    ["an array outside of the file", '{"$":"u32","at":0,"n":4096}'],
    ["an array between elements", '{"$":"u32","at":0,"n":3}'],
    ["a negative place", '{"$":"u8","at":-8,"n":8}'],
    ["an unknown kind", '{"$":"date","v":0}'],
    ["a set of no list", '{"$":"set","v":1}'],
    ["a map of no pairs", '{"$":"map","v":[1]}'],
  ])("a head that makes no sense under a right checksum: %s", async (_, head) => {
    const file = await bytesOf(await writeSnapshot(" ".repeat(64)));
    const headBytes = new DataView(file.buffer).getUint32(12, true);
    file.fill(0x20, PREFIX_BYTES, PREFIX_BYTES + headBytes);
    file.set(new TextEncoder().encode(head), PREFIX_BYTES);
    expect((await failure(sealed(file))).code).toBe("bad-snapshot");
  });

  test("what is no file at all is a wrong option", async () => {
    await expect(readSnapshot("text" as unknown as Blob)).rejects.toMatchObject({
      code: "bad-option",
    });
  });
});
