// Broken files by the ten thousand: whatever the bytes, parsing ends, in time and in memory, with a
// file that is safe to read or a KvasirError.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { KvasirError } from "../../../src/errors.ts";
import type { ByteSource } from "../../../src/gguf/byte-source.ts";
import { type GgufFile, parseGguf } from "../../../src/gguf/parse.ts";
import { readModelConfig } from "../../../src/model/read-config.ts";
import { array, scalar, writeGguf } from "../../support/gguf-writer.ts";
import { goldenPath } from "../../support/golden.ts";
import { Rng } from "../../support/rng.ts";

const SEED = 20260401;
const N_SMALL = 20_000;
const N_TOYS = 6_000;
const TOYS = ["llama", "qwen2", "qwen3", "gemma3"]
  .map((name) => goldenPath(`toys/toy-${name}.gguf`))
  .filter((path) => path !== undefined);

/** Allocations of typed arrays by length, counted by standing in for the constructors. */
async function countAllocations<T>(run: () => Promise<T>): Promise<{ result: T; bytes: number }> {
  let bytes = 0;
  const scope = globalThis as unknown as Record<string, unknown>;
  const names = [
    "Uint8Array",
    "Uint32Array",
    "Int32Array",
    "Float32Array",
    "BigUint64Array",
    "ArrayBuffer",
  ];
  const originals = names.map((name) => scope[name]);
  names.forEach((name, i) => {
    const original = originals[i] as new (...args: unknown[]) => unknown;
    const elementBytes =
      (original as unknown as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
    scope[name] = new Proxy(original, {
      construct(target, args, newTarget) {
        if (typeof args[0] === "number") bytes += args[0] * elementBytes;
        return Reflect.construct(
          target,
          args,
          newTarget === scope[name] ? target : newTarget,
        ) as object;
      },
    });
  });
  try {
    return { result: await run(), bytes };
  } finally {
    names.forEach((name, i) => (scope[name] = originals[i]));
  }
}

/** Reads a file with some bytes changed and its end cut off, without copying the whole. */
function mutated(
  bytes: Uint8Array,
  size: number,
  changes: ReadonlyMap<number, number>,
): ByteSource {
  return {
    name: "broken",
    size,
    read: async (byteOffset, byteLength) => {
      if (byteOffset + byteLength > size) throw new Error("Read past the end");
      const part = bytes.slice(byteOffset, byteOffset + byteLength); // the source's own
      for (const [at, value] of changes) {
        if (at >= byteOffset && at < byteOffset + byteLength) part[at - byteOffset] = value;
      }
      return part;
    },
  };
}

const HOSTILE = [
  0n,
  1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** Changes within the first `headerLength` bytes: flips, single bytes, hostile 64-bit numbers. */
function mutate(rng: Rng, bytes: Uint8Array, headerLength: number) {
  const changes = new Map<number, number>();
  const kind = rng.integer(0, 4);
  const size = kind === 0 ? rng.integer(0, bytes.length) : bytes.length;
  const nChanges = kind === 0 ? rng.integer(0, 2) : rng.integer(1, 4);
  for (let i = 0; i < nChanges; i++) {
    const at = rng.integer(0, headerLength);
    if (kind === 1) changes.set(at, (bytes[at] as number) ^ (1 << rng.integer(0, 8)));
    else if (kind === 2) changes.set(at, rng.integer(0, 256));
    else {
      const near = BigInt(size + rng.integer(-40, 40));
      const value =
        rng.integer(0, 3) === 0 ? near : (HOSTILE[rng.integer(0, HOSTILE.length)] as bigint);
      const nBytes = rng.integer(0, 2) === 0 ? 4 : 8;
      for (let b = 0; b < nBytes; b++) changes.set(at + b, Number((value >> BigInt(8 * b)) & 255n));
    }
  }
  return { size, changes };
}

function checkSafe(file: GgufFile, size: number): void {
  for (const info of file.tensors.values()) {
    const isInside =
      info.byteOffset >= file.dataByteOffset && info.byteOffset + info.byteLength <= size;
    if (!isInside || !(info.byteLength > 0)) expect.fail(`unsafe range of tensor "${info.name}"`);
  }
}

async function run(rng: Rng, bytes: Uint8Array, headerLength: number, tally: Map<string, number>) {
  const { size, changes } = mutate(rng, bytes, headerLength);
  const source = mutated(bytes, size, changes);
  let nRead = 0;
  const counted: ByteSource = {
    ...source,
    read: (byteOffset, byteLength) => {
      nRead += byteLength;
      return source.read(byteOffset, byteLength);
    },
  };
  const parse = async () => {
    try {
      const file = await parseGguf(counted);
      checkSafe(file, size);
      readModelConfig(file);
      return "ok";
    } catch (error) {
      if (error instanceof KvasirError) return error.code;
      throw new Error(`seed ${rng.seed}, changes ${JSON.stringify([...changes])}, size ${size}`, {
        cause: error,
      });
    }
  };
  const { result, bytes: nAllocated } = await countAllocations(parse);
  if (nRead > size) expect.fail(`read ${nRead} of ${size} bytes`);
  if (nRead + nAllocated > 2 * size)
    expect.fail(`allocated ${nRead + nAllocated} for ${size} bytes`);
  tally.set(result, (tally.get(result) ?? 0) + 1);
}

function smallFiles(): Uint8Array[] {
  const llama = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.feed_forward_length": 64,
    "llama.attention.head_count": 2,
    "llama.context_length": 128,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
  };
  const tensors = [
    { name: "token_embd.weight", type: "Q4_0", dims: [64, 3] },
    { name: "blk.0.attn_q.weight", type: "F16", dims: [64, 2] },
    { name: "output_norm.weight", type: "F32", dims: [64] },
  ] as const;
  const odd = {
    big: scalar("u64", 2n ** 63n),
    flags: [true, false, true],
    nested: array("array", [
      array("array", [array("i16", [scalar("i16", -3)])]),
      array("string", []),
    ]),
    floats: new Float32Array(9),
    longs: array("u64", [scalar("u64", 1n), scalar("u64", 2n)]),
    texts: ["", "a", "bc", "Größe"],
  };
  const tokens = {
    "tokenizer.ggml.tokens": ["a", "b", "c"],
    "tokenizer.ggml.scores": new Float32Array(3),
  };
  return [
    writeGguf({ metadata: { ...llama, ...tokens }, tensors }),
    writeGguf({ version: 2, metadata: { ...odd, ...llama }, tensors, alignment: 64 }),
    writeGguf({ metadata: odd }),
    writeGguf({ tensors }),
  ];
}

describe("parseGguf and readModelConfig on broken files", () => {
  it(`${N_SMALL} mutations of small files, seed ${SEED}`, async () => {
    const rng = new Rng(SEED);
    const files = smallFiles();
    const tally = new Map<string, number>();
    for (let i = 0; i < N_SMALL; i++) {
      const bytes = files[i % files.length] as Uint8Array;
      await run(rng, bytes, bytes.length, tally);
    }
    // Each way out is taken: the mutations are neither all fatal nor all harmless.
    for (const outcome of ["ok", "bad-gguf", "unsupported-model"]) {
      expect(tally.get(outcome) ?? 0, outcome).toBeGreaterThan(50);
    }
  }, 20_000);

  it.skipIf(TOYS.length === 0)(
    `${N_TOYS} mutations of the headers of golden toys/*.gguf, seed ${SEED + 1}`,
    async () => {
      const rng = new Rng(SEED + 1);
      const tally = new Map<string, number>();
      const toys = TOYS.map((path) => new Uint8Array(readFileSync(path)));
      for (let i = 0; i < N_TOYS; i++)
        await run(rng, toys[i % toys.length] as Uint8Array, 20_000, tally);
      for (const outcome of ["ok", "bad-gguf", "unsupported-model"]) {
        expect(tally.get(outcome) ?? 0, outcome).toBeGreaterThan(20);
      }
    },
    20_000,
  );
});
