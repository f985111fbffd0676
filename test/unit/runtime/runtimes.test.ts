import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserRuntime } from "../../../src/runtime/browser.ts";
import { denoRuntime } from "../../../src/runtime/deno.ts";
import { detectRuntime } from "../../../src/runtime/detect.ts";
import { nodeRuntime } from "../../../src/runtime/node.ts";
import type { OpenOptions, Runtime } from "../../../src/runtime/runtime.ts";
import { workerdRuntime } from "../../../src/runtime/workerd.ts";
import { startFaultServer, type FaultServer } from "../../support/fault-server.ts";
import { pattern } from "./pattern.ts";

const bytes = pattern(100_000);
const sha256 = createHash("sha256").update(bytes).digest("hex");
// The smallest module: magic and version.
const emptyModule = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
const workerd = workerdRuntime({ simd128: emptyModule });
let folder = "";
let path = "";
let server: FaultServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kvasir-runtime-"));
  path = join(folder, "model.gguf");
  await writeFile(path, bytes);
  server = await startFaultServer(bytes);
  process.env["KVASIR_CACHE"] = join(folder, "cache");
});

afterAll(async () => {
  delete process.env["KVASIR_CACHE"];
  await server.close();
  await rm(folder, { recursive: true });
});

async function expectWhole(runtime: Runtime, source: Parameters<Runtime["openByteSource"]>[0]) {
  const opened = await runtime.openByteSource(source, { sha256 });
  expect(Buffer.compare(await opened.read(0, opened.size), bytes)).toBe(0);
  await opened.close?.();
}

describe("detectRuntime", () => {
  it("knows where the tests run", () => {
    expect(detectRuntime()).toBe("node");
  });
});

for (const runtime of [nodeRuntime, denoRuntime, workerd]) {
  describe(`openByteSource of ${runtime.name}`, () => {
    it("opens bytes, an ArrayBuffer, a Blob and a byte source", async () => {
      await expectWhole(runtime, bytes);
      await expectWhole(runtime, bytes.slice().buffer);
      await expectWhole(runtime, new Blob([bytes as Uint8Array<ArrayBuffer>]));
      await expectWhole(runtime, await nodeRuntime.openByteSource(path));
    });

    it("throws checksum when the bytes are others", async () => {
      const opening = runtime.openByteSource(new Uint8Array(3), { sha256 });
      await expect(opening).rejects.toMatchObject({ code: "checksum" });
    });

    it("opens a URL without a checksum", async () => {
      const source = await runtime.openByteSource(server.url);
      expect(Buffer.compare(await source.read(99_000, 1000), bytes.subarray(99_000))).toBe(0);
      await source.close?.();
    });

    it("throws not-found for what is not there", async () => {
      const opening = runtime.openByteSource(join(folder, "nothing.gguf"));
      await expect(opening).rejects.toMatchObject({ code: "not-found" });
    });
  });
}

describe("openByteSource of node", () => {
  it("opens paths and file URLs, with a checksum", async () => {
    await expectWhole(nodeRuntime, path);
    await expectWhole(nodeRuntime, pathToFileURL(path));
    await writeFile(join(folder, "other.gguf"), "other");
    const other = nodeRuntime.openByteSource(join(folder, "other.gguf"), { sha256 });
    await expect(other).rejects.toMatchObject({ code: "checksum" });
  });

  it("throws not-found for a folder", async () => {
    await expect(nodeRuntime.openByteSource(folder)).rejects.toMatchObject({ code: "not-found" });
  });

  it("keeps a URL in the cache folder unless it is told not to", async () => {
    const url = `${server.url}?kept`;
    const requests = async (options: OpenOptions): Promise<number> => {
      const before = server.ranges.length;
      const source = await nodeRuntime.openByteSource(url, options);
      expect(Buffer.compare(await source.read(0, source.size), bytes)).toBe(0);
      await source.close?.();
      return server.ranges.length - before;
    };
    expect(await requests({ store: false })).toBe(1);
    expect(await requests({ store: false, sha256 })).toBe(1);
    expect(await requests({ revalidate: false })).toBe(1);
    expect(await requests({ revalidate: false })).toBe(0);
    expect(await requests({ sha256 })).toBe(1); // nobody knew it yet
    expect(await requests({ sha256 })).toBe(0);
    expect(await requests({ store: "others", sha256 })).toBe(1);
    const store = await nodeRuntime.modelStore?.("others");
    expect(await store?.list()).toMatchObject([{ url, bytes: bytes.length, sha256 }]);
    expect(await store?.delete(url)).toBe(true);
  });

  it("reads a URL without a store where nothing can be kept, unless one is asked for", async () => {
    const before = process.env["KVASIR_CACHE"];
    process.env["KVASIR_CACHE"] = path; // a file
    try {
      await expectWhole(nodeRuntime, server.url);
      const asked = nodeRuntime.openByteSource(server.url, { store: true });
      await expect(asked).rejects.toMatchObject({ code: "unavailable" });
    } finally {
      process.env["KVASIR_CACHE"] = before;
    }
    const named = nodeRuntime.openByteSource(server.url, { store: "../up" });
    await expect(named).rejects.toMatchObject({ code: "bad-option" });
  });

  it("throws disposed after close and aborted by its signal", async () => {
    const source = await nodeRuntime.openByteSource(path);
    const aborted = source.read(0, 1, AbortSignal.abort("why"));
    await expect(aborted).rejects.toMatchObject({ code: "aborted", cause: "why" });
    await expect(source.read(99_999, 2)).rejects.toMatchObject({ code: "bad-gguf" });
    await source.close?.();
    await source.close?.();
    await expect(source.read(0, 1)).rejects.toMatchObject({ code: "disposed" });
  });
});

describe("openByteSource of browser", () => {
  it("opens URLs relative to the page, with a checksum", async () => {
    const scope = globalThis as { location?: { href: string } };
    scope.location = { href: server.url };
    try {
      await expectWhole(browserRuntime, "other/model.gguf");
      const wrong = browserRuntime.openByteSource("x", { sha256: "0".repeat(64) });
      await expect(wrong).rejects.toMatchObject({ code: "checksum" });
    } finally {
      delete scope.location;
    }
  });
});

describe("loadKernels", () => {
  it("compiles the built kernels on node", async () => {
    const module = await nodeRuntime.loadKernels("simd128");
    expect(WebAssembly.Module.exports(module).map(({ name }) => name)).toContain("memory");
  });

  it("throws unavailable for a build that is not there", async () => {
    const missing = workerd.loadKernels("relaxed");
    await expect(missing).rejects.toMatchObject({ code: "unavailable" });
    await expect(workerd.loadKernels("simd128")).resolves.toBe(emptyModule);
  });
});
