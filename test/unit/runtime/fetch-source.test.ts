import { afterEach, describe, expect, it } from "vitest";
import type { ByteSource } from "../../../src/gguf/byte-source.ts";
import { openFetchSource } from "../../../src/runtime/fetch-source.ts";
import { startFaultServer, type Faults, type FaultServer } from "../../support/fault-server.ts";
import { pattern, seededCuts } from "./pattern.ts";

const bytes = pattern(5_000_001);
let server: FaultServer | undefined;

async function open(faults: Faults = {}): Promise<ByteSource> {
  server = await startFaultServer(bytes, faults);
  return openFetchSource(server.url, { backoffMs: 1 });
}

async function check(source: ByteSource, offset: number, length: number): Promise<void> {
  const got = await source.read(offset, length);
  expect(Buffer.compare(got, bytes.subarray(offset, offset + length))).toBe(0);
}

afterEach(async () => {
  await server?.close();
});

describe("openFetchSource", () => {
  it("answers many small reads near each other from one request", async () => {
    const source = await open();
    expect(source.size).toBe(bytes.length);
    for (let i = 0; i < 500; i += 1) await check(source, (i * 7919) % 900_000, 100);
    expect(server!.ranges.length).toBe(1);
  });

  it("reads a file in order through one request", async () => {
    const source = await open();
    for (let offset = 0; offset < bytes.length; offset += 1_300_000) {
      await check(source, offset, Math.min(1_300_000, bytes.length - offset));
    }
    expect(server!.ranges.length).toBe(1);
  });

  it("goes on from what a header's small reads brought, through one request", async () => {
    const source = await open();
    for (let offset = 0; offset < 1_200_000; offset += 100_000)
      await check(source, offset, 100_000);
    await check(source, 1_150_000, 1_300_000);
    await check(source, 2_450_000, 300_000);
    await check(source, 2_750_000, 1_900_000);
    expect(server!.ranges.length).toBe(1);
  });

  it("reads into what it is given", async () => {
    const source = await open();
    const out = new Uint8Array(1_500_002).fill(7);
    await source.readInto?.(700_000, out.subarray(1, 1_500_001));
    expect(Buffer.compare(out.subarray(1, 1_500_001), bytes.subarray(700_000, 2_200_000))).toBe(0);
    expect([out[0], out[1_500_001]]).toEqual([7, 7]);
  });

  it("reads anywhere, in any order, at once", async () => {
    const source = await open();
    const offsets = seededCuts(9, 30, bytes.length - 1_200_000);
    await Promise.all(offsets.map((offset, i) => check(source, offset, (i % 3) * 600_000)));
  });

  for (const seed of [11, 12, 13]) {
    it(`survives cuts at any byte, seed ${seed}`, async () => {
      const source = await open({ cuts: seededCuts(seed, 12, 700_000) });
      for (const offset of seededCuts(seed, 10, 3_000_000)) await check(source, offset, 1_500_000);
      for (const offset of seededCuts(seed, 10, 3_000_000)) await check(source, offset, 1_500);
    });
  }

  it("holds the whole file where the server has no ranges", async () => {
    const source = await open({ ranges: false, cuts: [123_456] });
    await check(source, 4_000_000, 1_000_001);
    await check(source, 0, 10);
    expect(server!.ranges.length).toBe(2);
  });

  it("reads an answer of unknown length", async () => {
    const source = await open({ ranges: false, isChunked: true });
    expect(source.size).toBe(bytes.length);
  });

  it("throws bad-gguf past the end", async () => {
    const source = await open();
    await expect(source.read(bytes.length - 1, 2)).rejects.toMatchObject({ code: "bad-gguf" });
    await expect(source.read(-1, 2)).rejects.toMatchObject({ code: "bad-gguf" });
    await check(source, bytes.length - 1, 1);
  });

  it("throws not-found on 404 and network on 416", async () => {
    await expect(open({ statuses: [404] })).rejects.toMatchObject({ code: "not-found" });
    await server?.close();
    await expect(open({ statuses: [416] })).rejects.toMatchObject({ code: "network" });
  });

  it("throws aborted, and stays usable", async () => {
    const source = await open({ stallAfter: 100_000 });
    const signal = AbortSignal.timeout(30);
    await expect(source.read(0, 2_000_000, signal)).rejects.toMatchObject({ code: "aborted" });
    await check(source, 50_000, 2_000_000);
  });

  it("throws disposed after close and leaves no connection", async () => {
    const source = await open({ stallAfter: 100_000 });
    await source.close?.();
    await expect(source.read(0, 1)).rejects.toMatchObject({ code: "disposed" });
    await expect.poll(() => server!.nAnswers()).toBe(0);
  });

  it("reports the bytes as they arrive", async () => {
    server = await startFaultServer(bytes);
    const seen: number[] = [];
    const source = await openFetchSource(server.url, {
      onProgress: ({ bytes: done, totalBytes }) => {
        expect(totalBytes).toBe(bytes.length);
        seen.push(done);
      },
    });
    await source.read(0, bytes.length);
    expect(seen.at(-1)).toBe(bytes.length);
    expect([...seen].sort((a, b) => a - b)).toEqual(seen);
  });
});
