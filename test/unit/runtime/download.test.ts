import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { download } from "../../../src/runtime/download.ts";
import { startFaultServer, type Faults, type FaultServer } from "../../support/fault-server.ts";
import { pattern, seededCuts } from "./pattern.ts";

const bytes = pattern(700_000);
const sha256 = createHash("sha256").update(bytes).digest("hex");
const options = { backoffMs: 1, attempts: 2, sha256 };
let server: FaultServer | undefined;
let folder = "";

async function serve(faults: Faults = {}): Promise<string> {
  server = await startFaultServer(bytes, faults);
  return server.url;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kvasir-download-"));
});

afterEach(async () => {
  await server?.close();
  await rm(folder, { recursive: true });
});

describe("download", () => {
  it("leaves the file and nothing else", async () => {
    const path = join(folder, "a", "model.gguf");
    await download(await serve(), path, options);
    expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
    expect(await readdir(join(folder, "a"))).toEqual(["model.gguf"]);
  });

  for (const seed of [21, 22, 23]) {
    it(`survives cuts at any byte, seed ${seed}`, async () => {
      const path = join(folder, "model.gguf");
      await download(await serve({ cuts: seededCuts(seed, 8, 200_000) }), path, options);
      expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
    });
  }

  it("does nothing when the file is there and right", async () => {
    const path = join(folder, "model.gguf");
    await writeFile(path, bytes);
    await download(await serve(), path, options);
    expect(server!.ranges).toEqual([]);
  });

  it("replaces a file that is wrong", async () => {
    const path = join(folder, "model.gguf");
    await writeFile(path, bytes.subarray(1));
    await download(await serve(), path, options);
    expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
  });

  it("continues the part that an earlier run left", async () => {
    const path = join(folder, "model.gguf");
    const statuses = [500, 500, 500];
    const faults: Faults = { cuts: [123_457] };
    const url = await serve(faults);
    server!.ranges.length = 0;
    faults.statuses = [];
    // First run: a cut, then the server is down for good.
    const first = download(url, path, {
      ...options,
      onProgress: () => (faults.statuses = statuses),
    });
    await expect(first).rejects.toMatchObject({ code: "network" });
    expect((await readFile(`${path}.part`)).length).toBe(123_457);
    faults.statuses = [];
    await download(url, path, options);
    expect(server!.ranges.at(-1)).toBe("bytes=123457-");
    expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
  });

  it("renames a part that was complete", async () => {
    const path = join(folder, "model.gguf");
    await writeFile(`${path}.part`, bytes);
    await download(await serve(), path, options);
    expect(await readdir(folder)).toEqual(["model.gguf"]);
  });

  for (const [what, part] of [
    ["of another file", new Uint8Array(1000)],
    ["longer than the file", new Uint8Array(bytes.length + 1)],
  ] as const) {
    it(`starts anew when the part is ${what}`, async () => {
      const path = join(folder, "model.gguf");
      await writeFile(`${path}.part`, part);
      await download(await serve(), path, options);
      expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
    });
  }

  it("throws checksum and leaves nothing", async () => {
    const path = join(folder, "model.gguf");
    const other = { ...options, sha256: "0".repeat(64) };
    await expect(download(await serve(), path, other)).rejects.toMatchObject({ code: "checksum" });
    expect(await readdir(folder)).toEqual([]);
  });

  it("works without ranges", async () => {
    const path = join(folder, "model.gguf");
    await writeFile(`${path}.part`, bytes.subarray(0, 5000));
    await download(await serve({ ranges: false, cuts: [400_000] }), path, options);
    expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
  });

  it("throws not-found on 404", async () => {
    const path = join(folder, "model.gguf");
    const url = await serve({ statuses: [404] });
    await expect(download(url, path, options)).rejects.toMatchObject({ code: "not-found" });
  });

  it("throws aborted and keeps the part", async () => {
    const path = join(folder, "model.gguf");
    const url = await serve({ stallAfter: 5000 });
    const signal = AbortSignal.timeout(50);
    const aborted = download(url, path, { ...options, signal });
    await expect(aborted).rejects.toMatchObject({ code: "aborted" });
    expect((await readFile(`${path}.part`)).length).toBe(5000);
  });
});
