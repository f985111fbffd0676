// Reading a model while it is downloaded and stored.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ByteSource } from "../../../src/gguf/byte-source.ts";
import { type EarlyStore, openThroughStore } from "../../../src/runtime/open-stored.ts";
import type { OpenOptions } from "../../../src/runtime/runtime.ts";
import { createMemoryDriver } from "../../../src/runtime/storage/memory.ts";
import type { StorageDriver } from "../../../src/runtime/storage/storage.ts";
import { createModelStore } from "../../../src/runtime/store/model-store.ts";
import { startFaultServer, type Faults, type FaultServer } from "../../support/fault-server.ts";
import { pattern, seededCuts } from "./pattern.ts";

const PIECE = 4 << 20;
const bytes = pattern(10 * PIECE + 1234); // more pieces than are held for readers
const http = { backoffMs: 1, attempts: 2 };

let server: FaultServer;
let driver: StorageDriver;
let store: EarlyStore;

async function open(faults: Faults = {}, options: OpenOptions = {}): Promise<ByteSource> {
  server = await startFaultServer(bytes, faults);
  return store.openEarly(server.url, options);
}

async function check(source: ByteSource, offset: number, length: number): Promise<void> {
  const got = await source.read(offset, length);
  expect(Buffer.compare(got, bytes.subarray(offset, offset + length))).toBe(0);
}

beforeEach(() => {
  driver = createMemoryDriver();
  store = createModelStore(driver, http);
});
afterEach(async () => server.close());

describe("openEarly", () => {
  it("reads what has come while the rest has not", async () => {
    const source = await open({ stallAfter: 2 * PIECE + 100 });
    expect(source.size).toBe(bytes.length);
    await check(source, 0, 1000);
    await check(source, PIECE - 10, 20);
    expect(await store.list()).toMatchObject([{ isComplete: false }]);
    await source.close?.();
  });

  it("reads anywhere, in any order, at once, while it comes and after", async () => {
    const source = await open({ cuts: seededCuts(3, 5, 9_000_000) });
    const offsets = seededCuts(17, 40, bytes.length - 5_000_000);
    const reads = offsets.map((offset, i) => check(source, offset, (i % 5) * 1_200_000));
    await Promise.all(reads);
    await check(source, 5, bytes.length - 5);
    await check(source, 0, 100);
    await source.finish?.();
    expect(await store.list()).toMatchObject([{ isComplete: true, bytes: bytes.length }]);
    await expect(source.read(0, 1)).rejects.toMatchObject({ code: "disposed" });
    await expect(source.read(bytes.length, 1)).rejects.toMatchObject({ code: "bad-gguf" });
  });

  it("ends the download when it is closed, and keeps what came", async () => {
    const source = await open({ stallAfter: 3 * PIECE + 5 });
    await check(source, PIECE, 10);
    const waiting = source.read(bytes.length - 1, 1).catch((error: unknown) => error);
    await source.close?.();
    expect(await waiting).toMatchObject({ code: "aborted" });
    await expect.poll(() => server.nAnswers()).toBe(0);
    const [part] = await store.list();
    expect(part).toMatchObject({ isComplete: false });
    expect(part!.bytes).toBeGreaterThanOrEqual(PIECE);
    expect(await store.delete(server.url)).toBe(true); // nobody holds it
  });

  it("ends the download with the caller's signal", async () => {
    const controller = new AbortController();
    const source = await open({ stallAfter: PIECE + 5 }, { signal: controller.signal });
    await check(source, 0, 10);
    const waiting = source.read(PIECE, 10).catch((error: unknown) => error);
    controller.abort("why");
    expect(await waiting).toMatchObject({ code: "aborted", cause: "why" });
    await source.close?.();
    expect(await store.list()).toMatchObject([{ bytes: PIECE }]);
  });

  it("ends a read with the read's signal, not the download", async () => {
    const source = await open({ stallAfter: PIECE + 5 });
    const reading = source.read(PIECE, 10, AbortSignal.timeout(20));
    await expect(reading).rejects.toMatchObject({ code: "aborted" });
    await check(source, 0, PIECE);
    await source.close?.();
  });

  it("throws what ended the download, for bytes that have not come", async () => {
    const faults: Faults = { cuts: [PIECE + 1000] };
    const onProgress = () => (faults.statuses = [500, 500, 500]);
    const source = await open(faults, { onProgress });
    await expect(source.read(2 * PIECE, 1)).rejects.toMatchObject({ code: "network" });
    await check(source, 100, 100);
    await source.close?.();
    faults.statuses = [];
    await (await store.open(server.url)).close?.();
    expect(server.ranges.at(-1)).toBe(`bytes=${PIECE}-`);
  });

  it("throws network when the file is replaced meanwhile, and the next has the new one", async () => {
    const etag = (nRequests: number): string => (nRequests === 1 ? '"one"' : '"two"');
    const source = await open({ cuts: [PIECE + 1000], etag });
    await expect(source.read(2 * PIECE, 1)).rejects.toMatchObject({ code: "network" });
    await source.close?.();
    await (await store.open(server.url)).close?.();
    expect(await store.list()).toMatchObject([{ isComplete: true }]);
  });

  it("is a stored file's source where all is there, and waits for a hash that is expected", async () => {
    const first = await open();
    await first.finish?.();
    const again = await store.openEarly(server.url, { revalidate: false });
    expect(again.finish).toBe(undefined);
    await check(again, 0, bytes.length);
    await again.close?.();
    const wrong = store.openEarly(`${server.url}?other`, { sha256: "0".repeat(64) });
    await expect(wrong).rejects.toMatchObject({ code: "checksum" });
  });

  it("rejects when there is nothing to read", async () => {
    await expect(open({ statuses: [404] })).rejects.toMatchObject({ code: "not-found" });
    await expect(store.openEarly("mine")).rejects.toMatchObject({ code: "not-found" });
  });
});

describe("openThroughStore", () => {
  const blurred = (maxBytes: number): StorageDriver => {
    const full = createMemoryDriver({ maxBytes });
    full.freeBytes = () => Promise.resolve(10 ** 10); // as browsers do
    return full;
  };

  it("reads on without the store when that runs full in the middle", async () => {
    driver = blurred(3 * PIECE);
    store = createModelStore(driver, http);
    server = await startFaultServer(bytes);
    const source = await openThroughStore(server.url, {}, async () => store);
    for (let at = 0; at < bytes.length; at += 3_000_000) {
      await check(source!, at, Math.min(3_000_000, bytes.length - at));
    }
    await source!.finish?.();
    expect(await driver.list()).toEqual([]);
  });

  it("throws storage-full with what fitted where a store was asked for", async () => {
    store = createModelStore(blurred(3 * PIECE + 10_000), http);
    server = await startFaultServer(bytes);
    const source = await openThroughStore(server.url, { store: true }, async () => store);
    await expect(source!.read(bytes.length - 1, 1)).rejects.toMatchObject({
      code: "storage-full",
      message: `Cannot store "${server.url}": ${bytes.length} bytes are wanted, ${3 * PIECE} bytes are available`,
    });
    await source!.close?.();
  });
});
