import { existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { createFsDriver } from "../../src/runtime/storage/fs.ts";
import { createMemoryDriver } from "../../src/runtime/storage/memory.ts";
import { STORAGE_CASES } from "./storage-cases.ts";

const root = mkdtempSync(join(tmpdir(), "kvasir-storage-"));
afterAll(() => rmSync(root, { recursive: true }));

let nFolders = 0;
const newFolder = (): string => join(root, `folder-${nFolders++}`, "below");

// opfs: test/browser/storage.test.ts.
describe.each([
  ["memory", () => createMemoryDriver()],
  ["fs", () => createFsDriver(newFolder())],
])("storage %s", (_, create) => {
  it.each(STORAGE_CASES.map((one) => [one.name, one] as const))("%s", async (_name, { run }) => {
    await run(create());
  });
});

describe("storage memory", () => {
  it("throws storage-full with both numbers, and keeps what was there", async () => {
    const driver = createMemoryDriver({ maxBytes: 100 });
    await driver.replace("a", new Uint8Array(60));
    expect(await driver.freeBytes()).toBe(40);
    const writer = await driver.write("b", 0);
    await writer.write(new Uint8Array(30));
    await expect(writer.write(new Uint8Array(11))).rejects.toMatchObject({
      code: "storage-full",
      message: 'Cannot store "b": 11 bytes are wanted, 10 bytes are available',
    });
    expect((await driver.list()).map(({ byteLength }) => byteLength)).toEqual([60, 30]);
  });
});

describe("storage fs", () => {
  it("takes over the lock of a process that died", async () => {
    const folder = newFolder();
    const driver = createFsDriver(folder);
    await driver.replace("a", new Uint8Array(1));
    const lock = join(folder, "x.lock");
    writeFileSync(lock, "");
    const refused = driver.lock("x", { isWaiting: false }, async () => 1);
    await expect(refused).rejects.toMatchObject({ code: "busy" });
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(lock, longAgo, longAgo);
    expect(await driver.lock("x", { isWaiting: false }, async () => existsSync(lock))).toBe(true);
    expect(existsSync(lock)).toBe(false);
  });

  it("throws unavailable where a folder cannot be made", async () => {
    writeFileSync(join(root, "file"), "");
    const driver = createFsDriver(join(root, "file", "folder"));
    await expect(driver.write("a", 0)).rejects.toMatchObject({ code: "unavailable" });
    await expect(driver.lock("a", {}, async () => 1)).rejects.toMatchObject({
      code: "unavailable",
    });
  });
});
