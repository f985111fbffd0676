// Models from a URL: loaded while they are downloaded, kept for the next time, broken off when they
// cannot be used.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { load } from "../../src/load.ts";
import { nodeRuntime } from "../../src/runtime/node.ts";
import type { StoredModel } from "../../src/runtime/runtime.ts";
import type { LoadOptions, LoadProgress } from "../../src/types.ts";
import { type Faults, type FaultServer, startFaultServer } from "../support/fault-server.ts";
import { writeGguf } from "../support/gguf-writer.ts";
import { answer } from "../support/sessions.ts";
import { contentsOf, padded } from "../support/toy-file.ts";
import { toyBytes, toyGolden } from "../support/toys.ts";

const PIECE = 4 << 20;
const toy = toyBytes("toy-llama");
const { ids, greedy } = toyGolden("toy-llama");
let folder: string;
let server: FaultServer;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kvasir-load-url-"));
  process.env["KVASIR_CACHE"] = folder;
});
afterEach(async () => {
  delete process.env["KVASIR_CACHE"];
  await server.close();
  await rm(folder, { recursive: true });
});

async function serve(bytes: Uint8Array, faults: Faults = {}): Promise<string> {
  server = await startFaultServer(bytes, faults);
  return server.url;
}

const loadUrl = (url: string, options: LoadOptions = {}) =>
  load(url, { activations: "f32", ...options, runtime: nodeRuntime });

async function stored(): Promise<readonly StoredModel[]> {
  return (await nodeRuntime.modelStore?.())?.list() ?? [];
}

describe("load from a URL", () => {
  test("gives the model, keeps the file, and needs no network the next time", async () => {
    const url = await serve(await padded(toy, 2 * PIECE), { cuts: [PIECE + 5] });
    for (const phases of [["download", "load"], ["load"]]) {
      const seen = new Set<LoadProgress["phase"]>();
      const model = await loadUrl(url, { onProgress: ({ phase }) => seen.add(phase) });
      expect([...seen]).toEqual(phases);
      const { ids: tokens } = await answer(model.session(), { tokens: ids }, { maxTokens: 6 });
      expect(tokens).toEqual(greedy.tokens.slice(0, 6));
      model.dispose();
      expect(await stored()).toMatchObject([{ url, isComplete: true }]);
      await server.close();
    }
  });

  test("keeps the end of the file, which no tensor uses", async () => {
    const long = new Uint8Array(4 * PIECE);
    long.set(toy);
    const url = await serve(long, { paceMs: 1 });
    (await loadUrl(url)).dispose();
    expect(await stored()).toMatchObject([{ bytes: long.length, isComplete: true }]);
  });

  test("breaks the download of a model off that it cannot run", async () => {
    const contents = await contentsOf(toy);
    contents.metadata["general.architecture"] = "mamba";
    const long = new Uint8Array(4 * PIECE);
    long.set(writeGguf(contents));
    const url = await serve(long, { stallAfter: 2 * PIECE });
    await expect(loadUrl(url)).rejects.toMatchObject({ code: "unsupported-model" });
    await expect.poll(() => server.nAnswers()).toBe(0);
    expect(await stored()).toMatchObject([{ isComplete: false, totalBytes: long.length }]);
  });

  test("fails with the store that was asked for, else goes on without", async () => {
    process.env["KVASIR_CACHE"] = join(folder, "model.gguf");
    const url = await serve(toy);
    await writeFile(join(folder, "model.gguf"), "a file");
    await expect(loadUrl(url, { store: true })).rejects.toMatchObject({ code: "unavailable" });
    const model = await loadUrl(url);
    const { ids: tokens } = await answer(model.session(), { tokens: ids }, { maxTokens: 6 });
    expect(tokens).toEqual(greedy.tokens.slice(0, 6));
    model.dispose();
  });
});
