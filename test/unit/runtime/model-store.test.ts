// The store over a server that misbehaves: what it downloads, continues, refuses and forgets.
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ByteSource } from "../../../src/gguf/byte-source.ts";
import type { ModelStore, OpenProgress } from "../../../src/runtime/runtime.ts";
import { createFsDriver } from "../../../src/runtime/storage/fs.ts";
import { createMemoryDriver } from "../../../src/runtime/storage/memory.ts";
import { createModelStore } from "../../../src/runtime/store/model-store.ts";
import type { StorageDriver } from "../../../src/runtime/storage/storage.ts";
import { startFaultServer, type Faults, type FaultServer } from "../../support/fault-server.ts";
import { pattern, seededCuts } from "./pattern.ts";

const PIECE = 4 << 20;
const bytes = pattern(9_000_001) as Uint8Array<ArrayBuffer>; // two whole pieces and a rest
const other = bytes.slice().reverse();
const hashOf = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");
const sha256 = hashOf(bytes);
const http = { backoffMs: 1, attempts: 2 };

let server: FaultServer | undefined;
let folder = "";
let driver: StorageDriver;
let store: ModelStore;

async function serve(faults: Faults = {}): Promise<string> {
  server = await startFaultServer(bytes, faults);
  return server.url;
}

async function expectBytes(opening: Promise<ByteSource>, wanted: Uint8Array): Promise<void> {
  const source = await opening;
  expect(Buffer.compare(await source.read(0, source.size), wanted)).toBe(0);
  await source.close?.();
}

const dataFiles = async () => (await driver.list()).filter(({ name }) => !name.endsWith(".json"));

/** Changes one byte of a stored file. */
async function damage(at: number): Promise<void> {
  const [file] = await dataFiles();
  const source = await driver.open(file!.name);
  const stored = await source!.read(0, source!.size);
  await source!.close?.();
  stored[at]! ^= 1;
  const writer = await driver.write(file!.name, 0);
  await writer.write(stored);
  await writer.close();
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kvasir-store-"));
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  await rm(folder, { recursive: true });
});

describe.each([
  ["memory", () => createMemoryDriver()],
  ["fs", () => createFsDriver(join(folder, "store"))],
] as const)("a store over %s", (_, create) => {
  beforeEach(() => {
    driver = create();
    store = createModelStore(driver, http);
  });

  it("downloads once, then asks whether the file is still the same", async () => {
    const url = await serve();
    await expectBytes(store.open(url), bytes);
    expect(server!.ranges).toEqual(["bytes=0-"]);
    const progress: OpenProgress[] = [];
    await expectBytes(store.open(url, { onProgress: (step) => progress.push(step) }), bytes);
    expect(server!.ranges.length).toBe(2);
    expect(progress).toEqual([]);
    await expectBytes(store.open(url, { revalidate: false }), bytes);
    expect(server!.ranges.length).toBe(2);
  });

  it("needs no network for what is stored", async () => {
    const url = await serve();
    await expectBytes(store.open(url), bytes);
    await server!.close();
    await expectBytes(createModelStore(driver, http).open(url), bytes);
    server = undefined;
  });

  it.each([404, 410, 403, 500])("opens what is stored when the server says %i", async (status) => {
    const faults: Faults = {};
    const url = await serve(faults);
    await expectBytes(store.open(url), bytes);
    faults.statuses = [status];
    await expectBytes(store.open(url), bytes);
  });

  it("asks nobody where the SHA-256 is known", async () => {
    const url = await serve();
    await expectBytes(store.open(url, { sha256: sha256.toUpperCase() }), bytes);
    await expectBytes(store.open(`${url}?mirror`, { sha256 }), bytes);
    expect(server!.ranges.length).toBe(1);
    expect(await store.list()).toMatchObject([{ url, sha256, isComplete: true }]);
  });

  it("computes a SHA-256 that is asked for later from what is stored", async () => {
    const url = await serve();
    await expectBytes(store.open(url), bytes);
    const progress: OpenProgress[] = [];
    const onProgress = (step: OpenProgress) => progress.push(step);
    await expectBytes(store.open(url, { sha256, onProgress }), bytes);
    expect(progress.map(({ phase }) => phase)).toEqual(["check", "check", "check"]);
    expect(progress.at(-1)).toMatchObject({ bytes: bytes.length, totalBytes: bytes.length });
    const nRequests = server!.ranges.length;
    await expectBytes(store.open(url, { sha256 }), bytes);
    expect(server!.ranges.length).toBe(nRequests);
    const wrong = store.open(url, { sha256: "0".repeat(64) });
    await expect(wrong).rejects.toMatchObject({ code: "checksum" });
    await expectBytes(store.open(url), bytes);
  });

  for (const seed of [21, 22, 23]) {
    it(`survives cuts at any byte, seed ${seed}`, async () => {
      const url = await serve({ cuts: seededCuts(seed, 12, 2_000_000) });
      await expectBytes(store.open(url, { sha256 }), bytes);
    });
  }

  it("continues what an earlier run left, from whole pieces", async () => {
    const faults: Faults = { cuts: [PIECE + 1000] };
    const url = await serve(faults);
    const fail = { onProgress: () => (faults.statuses = [500, 500, 500]) };
    await expect(store.open(url, fail)).rejects.toMatchObject({ code: "network" });
    expect(await store.list()).toMatchObject([
      { url, bytes: PIECE, totalBytes: bytes.length, isComplete: false },
    ]);
    faults.statuses = [];
    store = createModelStore(driver, http);
    await expectBytes(store.open(url, { sha256 }), bytes);
    expect(server!.ranges.at(-1)).toBe(`bytes=${PIECE}-`);
    expect(await store.list()).toMatchObject([{ bytes: bytes.length, isComplete: true, sha256 }]);
    expect((await dataFiles()).length).toBe(1);
  });

  it("starts anew when the file was replaced since", async () => {
    let etag = '"one"';
    const faults: Faults = { cuts: [PIECE + 1000], etag: () => etag };
    const url = await serve(faults);
    const fail = { onProgress: () => (faults.statuses = [500, 500, 500]) };
    await expect(store.open(url, fail)).rejects.toMatchObject({ code: "network" });
    faults.statuses = [];
    etag = '"two"';
    server!.replace(other);
    await expectBytes(store.open(url), other);
    expect((await dataFiles()).length).toBe(1);
  });

  it("starts anew when the file is shorter than what was stored of it", async () => {
    const faults: Faults = { cuts: [PIECE + 1000], etag: () => undefined };
    const url = await serve(faults);
    const fail = { onProgress: () => (faults.statuses = [500, 500, 500]) };
    await expect(store.open(url, fail)).rejects.toMatchObject({ code: "network" });
    faults.statuses = [];
    server!.replace(other.subarray(0, 1000));
    await expectBytes(store.open(url), other.subarray(0, 1000));
  });

  it("starts anew when the file is replaced under the download", async () => {
    let etag = '"one"';
    const faults: Faults = { cuts: [PIECE + 1000], etag: () => etag };
    const url = await serve(faults);
    const onProgress = ({ bytes: done }: OpenProgress) => {
      if (done < PIECE) return;
      etag = '"two"';
      server!.replace(other);
    };
    await expectBytes(store.open(url, { onProgress }), other);
    expect((await dataFiles()).length).toBe(1);
  });

  it.each<[string, Faults, Faults]>([
    ["ETag", { etag: () => '"one"' }, { etag: () => '"two"' }],
    ["date", { etag: () => undefined, lastModified: "Mon" }, { lastModified: "Tue" }],
  ])("notices by the %s a file that was replaced", async (__, before, after) => {
    const faults = { ...before };
    const url = await serve(faults);
    await expectBytes(store.open(url), bytes);
    server!.replace(other);
    Object.assign(faults, after);
    await expectBytes(store.open(url), other);
    expect(await store.list()).toMatchObject([{ isComplete: true }]);
    expect((await dataFiles()).length).toBe(1);
  });

  it("notices by the length a file that was replaced, and keeps the old one until then", async () => {
    const faults: Faults = { etag: () => undefined };
    const url = await serve(faults);
    await expectBytes(store.open(url), bytes);
    server!.replace(other.subarray(1));
    const controller = new AbortController();
    const fail = { signal: controller.signal, onProgress: () => controller.abort() };
    await expect(store.open(url, fail)).rejects.toMatchObject({ code: "aborted" });
    await expectBytes(store.open(url, { revalidate: false }), bytes);
    await expectBytes(store.open(url), other.subarray(1));
  });

  it("throws checksum and leaves nothing", async () => {
    const url = await serve();
    const wrong = store.open(url, { sha256: "0".repeat(64) });
    await expect(wrong).rejects.toMatchObject({ code: "checksum" });
    expect(await driver.list()).toEqual([]);
    expect(await store.list()).toEqual([]);
  });

  it("throws not-found on 404, network on 416, and leaves nothing", async () => {
    const url = await serve({ statuses: [404, 416, 416] });
    await expect(store.open(url)).rejects.toMatchObject({ code: "not-found" });
    await expect(store.open(url)).rejects.toMatchObject({ code: "network" });
    expect(await driver.list()).toEqual([]);
  });

  it("works without ranges, and without a length", async () => {
    const faults: Faults = { ranges: false, cuts: [PIECE + 5] };
    const url = await serve(faults);
    const fail = { onProgress: () => (faults.statuses = [500, 500, 500]) };
    await expect(store.open(url, fail)).rejects.toMatchObject({ code: "network" });
    faults.statuses = [];
    faults.cuts = [400_000];
    await expectBytes(store.open(url), bytes);
    await store.delete(url);
    faults.isChunked = true;
    await expectBytes(store.open(url), bytes);
  });

  it("throws aborted and keeps whole pieces", async () => {
    const url = await serve({ stallAfter: PIECE + 5 });
    const controller = new AbortController();
    const onProgress = ({ bytes: done }: OpenProgress) => {
      if (done === PIECE + 5) controller.abort("why");
    };
    const aborted = store.open(url, { signal: controller.signal, onProgress });
    await expect(aborted).rejects.toMatchObject({ code: "aborted", cause: "why" });
    expect(await store.list()).toMatchObject([{ bytes: PIECE, isComplete: false }]);
    await expectBytes(store.open(url), bytes);
    expect(server!.ranges).toEqual(["bytes=0-", `bytes=${PIECE}-`]);
  });

  it("downloads once for two at once", async () => {
    const url = await serve();
    const second = createModelStore(driver, http);
    await Promise.all([
      expectBytes(store.open(url, { revalidate: false }), bytes),
      expectBytes(second.open(url, { revalidate: false }), bytes),
    ]);
    expect(server!.ranges).toEqual(["bytes=0-"]);
  });

  it("goes on for the second when the first gives up", async () => {
    const url = await serve({ stallAfter: PIECE + 5 });
    const controller = new AbortController();
    let second: Promise<void> | undefined;
    const onProgress = ({ bytes: done }: OpenProgress) => {
      second ??= expectBytes(store.open(url), bytes);
      if (done === PIECE + 5) controller.abort();
    };
    const first = store.open(url, { signal: controller.signal, onProgress });
    await expect(first).rejects.toMatchObject({ code: "aborted" });
    await second;
    expect(server!.ranges).toEqual(["bytes=0-", `bytes=${PIECE}-`]);
  });

  it.each([0, PIECE, 9_000_000])("notices byte %i damaged in storage, once", async (at) => {
    const url = await serve();
    await expectBytes(store.open(url), bytes);
    await damage(at);
    const source = await store.open(url);
    await expect(source.read(0, source.size)).rejects.toMatchObject({ code: "checksum" });
    await source.close?.();
    expect(await driver.list()).toEqual([]);
    await expectBytes(store.open(url), bytes);
  });

  it("downloads again what was cut off or removed in storage, or lost its record", async () => {
    const url = await serve();
    for (const harm of ["cut", "remove", "record"]) {
      await expectBytes(store.open(url), bytes);
      const [file] = await dataFiles();
      if (harm === "cut") await (await driver.write(file!.name, 5_000_000)).close();
      if (harm === "remove") await driver.remove(file!.name);
      const record = (await driver.list()).find(({ name }) => name.endsWith(".json"));
      if (harm === "record") await driver.replace(record!.name, new TextEncoder().encode('{"fo'));
      await expectBytes(store.open(url), bytes);
      expect((await dataFiles()).length, harm).toBe(1);
    }
  });

  it("lists, measures and deletes", async () => {
    const url = await serve();
    await expectBytes(store.open(`${url}#fragment`), bytes);
    const [model] = await store.list();
    expect(model).toEqual({
      url,
      bytes: bytes.length,
      totalBytes: bytes.length,
      isComplete: true,
      sha256: undefined,
      storedAt: expect.any(Date),
    });
    const { bytes: held, freeBytes } = await store.size();
    expect(held).toBeGreaterThan(bytes.length);
    expect(held).toBeLessThan(bytes.length + 2000);
    expect(freeBytes === undefined || freeBytes > 0).toBe(true);
    expect(await store.delete(url)).toBe(true);
    expect(await store.delete(url)).toBe(false);
    expect(await driver.list()).toEqual([]);
    expect(await store.size()).toMatchObject({ bytes: 0 });
  });

  it("does not delete under a download", async () => {
    const url = await serve({ stallAfter: 100_000 });
    const controller = new AbortController();
    let refused: Promise<unknown> | undefined;
    const onProgress = () => {
      refused ??= store.delete(url).catch((error: unknown) => error);
      void refused.then(() => controller.abort());
    };
    const opening = store.open(url, { signal: controller.signal, onProgress });
    await expect(opening).rejects.toMatchObject({ code: "aborted" });
    expect(await refused).toMatchObject({ code: "busy" });
    expect(await store.delete(url)).toBe(true);
  });

  it("adds a Blob under a name", async () => {
    const blob = new Blob([bytes]);
    await store.add("mine.gguf", blob, { sha256 });
    await expectBytes(store.open("mine.gguf"), bytes);
    await expectBytes(store.open("mine.gguf", { sha256 }), bytes);
    await store.add("mine.gguf", new Blob([other]));
    await expectBytes(store.open("mine.gguf"), other);
    expect((await dataFiles()).length).toBe(1);
    const wrong = store.add("mine.gguf", blob, { sha256: "0".repeat(64) });
    await expect(wrong).rejects.toMatchObject({ code: "checksum" });
    await expectBytes(store.open("mine.gguf"), other);
    await expect(store.open("yours.gguf")).rejects.toMatchObject({ code: "not-found" });
    await expect(store.add("https://x/y", blob)).rejects.toMatchObject({ code: "bad-option" });
  });
});

describe("a store without room", () => {
  const open = async (maxBytes: number, faults: Faults = {}) => {
    driver = createMemoryDriver({ maxBytes });
    store = createModelStore(driver, http);
    return store.open(await serve(faults));
  };

  it("throws storage-full with both numbers before a byte is stored", async () => {
    const error: unknown = await open(8_000_000).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: "storage-full",
      message: `Cannot store "${server!.url}": 9000001 bytes are wanted, 8000000 bytes are available`,
    });
    expect(await driver.list()).toEqual([]);
  });

  it("throws storage-full in the middle, and leaves nothing", async () => {
    const opening = open(8_000_000, { ranges: false, isChunked: true });
    await expect(opening).rejects.toMatchObject({ code: "storage-full" });
    expect(await driver.list()).toEqual([]);
  });

  it("gives up a version that was replaced where both do not fit", async () => {
    const faults: Faults = { etag: () => '"one"' };
    await expectBytes(open(10_000_000, faults), bytes);
    server!.replace(other);
    faults.etag = () => '"two"';
    await expectBytes(store.open(server!.url), other);
  });
});
