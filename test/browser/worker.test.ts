// kvasir in a browser's pages and workers, with the toys: golden text, the bits of Node, threads where the
// page is cross-origin isolated. Needs a built dist/ and KVASIR_CHROMIUM, the path of a Chromium.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LocalModel } from "../../src/session/local-model.ts";
import { answer } from "../support/sessions.ts";
import { openToy, type Toy, toyGolden, TOYS } from "../support/toys.ts";
import { launch, openPage, openSite, type PageScope, type Site } from "./site.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

/** SHA-256 over every logit of an answer; runs in Node and, sent as text, in pages. */
async function hashLogits(model: LocalModel, ids: readonly number[]): Promise<string> {
  const { engine, config } = model.parts.transformer;
  const seen: Uint8Array[] = [];
  const read = engine.read.bind(engine);
  engine.read = async (...args: Parameters<typeof read>) => {
    const bytes = await read(...args);
    if (bytes.byteLength === 4 * config.vocabSize) seen.push(bytes);
    return bytes;
  };
  const session = model.session();
  const options = { maxTokens: 12, logprobs: 0, ignoreEos: true };
  for await (const event of session.generate({ tokens: ids }, options)) void event;
  const all = new Uint8Array(12 * 4 * config.vocabSize);
  seen.forEach((bytes, i) => all.set(bytes, i * bytes.byteLength));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", all));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Ids and text of a greedy answer in a worker. */
function answerInWorker(page: Page, toy: Toy, ids: readonly number[], n: number, threads: number) {
  return page.evaluate(
    async ({ toy, ids, n, threads }) => {
      const { worker } = globalThis as unknown as PageScope;
      const model = await worker.loadInWorker(`toys/${toy}.gguf`, { activations: "f32", threads });
      const session = await model.session();
      const tokens: number[] = [];
      let text = "";
      const options = { maxTokens: n, ignoreEos: true };
      for await (const event of session.generate({ tokens: ids }, options)) {
        if (event.type !== "token") continue;
        tokens.push(event.token);
        text += event.text;
      }
      await model.dispose();
      return { tokens, text, nThreads: model.engine.nThreads };
    },
    { toy, ids, n, threads },
  );
}

describe.each([true, false])("a page that is cross-origin isolated: %s", (isIsolated) => {
  let site: Site;
  let page: Page;
  const errors: string[] = [];
  beforeAll(async () => {
    site = await openSite({ isIsolated });
    page = await openPage(browser, site.url, errors);
  });
  afterAll(async () => {
    await page.close();
    await site.close();
    expect(errors).toEqual([]);
  });

  it("is what it says", async () => {
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(isIsolated);
  });

  it.each(TOYS)("answers with the golden text of %s in a worker", async (toy) => {
    const { ids, greedy } = toyGolden(toy);
    const given = await answerInWorker(page, toy, ids, greedy.tokens.length, 2);
    expect(given.tokens).toEqual(greedy.tokens);
    const own = await openToy(toy);
    const text = own.tokenizer.decodeStream({ keepSpecial: false });
    const golden = greedy.tokens.map((token) => text.push(token)).join("") + text.end();
    own.dispose();
    expect(given.text).toBe(golden);
    // The pool needs shared memory; the worker's workers have it where the page does.
    expect(given.nThreads).toBe(isIsolated ? 2 : 1);
  });

  it.each(["q8", "f32"] as const)(
    "computes the logits of Node in %s, bit for bit",
    async (mode) => {
      await page.addScriptTag({ content: `globalThis.hashLogits = ${hashLogits.toString()}` });
      const { ids } = toyGolden("toy-gemma3");
      for (const threads of [1, 2]) {
        const hash = await page.evaluate(
          async ({ ids, mode, threads }) => {
            const scope = globalThis as unknown as PageScope & { hashLogits: typeof hashLogits };
            const options = { engine: "wasm", activations: mode, threads } as const;
            const model = await scope.local.load("toys/toy-gemma3.gguf", options);
            const hash = await scope.hashLogits(model as LocalModel, ids);
            model.dispose();
            return hash;
          },
          { ids, mode, threads },
        );
        const own = await openToy("toy-gemma3", { engine: "wasm", activations: mode });
        expect(hash).toBe(await hashLogits(own, ids));
        own.dispose();
      }
    },
  );

  it("gives the logprobs of Node in a worker, to the last bit", async () => {
    const { ids } = toyGolden("toy-qwen3");
    const inWorker = await page.evaluate(async (ids) => {
      const { worker } = globalThis as unknown as PageScope;
      const model = await worker.loadInWorker("toys/toy-qwen3.gguf", {
        engine: "wasm",
        threads: 2,
      });
      const session = await model.session();
      const seen: number[] = [];
      const options = { maxTokens: 20, ignoreEos: true, logprobs: 256 };
      for await (const event of session.generate({ tokens: ids }, options)) {
        if (event.type !== "token") continue;
        seen.push(event.token, ...(event.topLogprobs ?? []).map(({ logprob }) => logprob));
      }
      await model.dispose();
      return seen;
    }, ids);
    const own = await openToy("toy-qwen3", { engine: "wasm", activations: "q8" });
    const options = { maxTokens: 20, ignoreEos: true, logprobs: 256 };
    const { tokens } = await answer(own.session(), { tokens: ids }, options);
    own.dispose();
    const expected = tokens.flatMap(({ token, topLogprobs = [] }) => [
      token,
      ...topLogprobs.map(({ logprob }) => logprob),
    ]);
    expect(inWorker.length).toBe(20 * 257);
    expect(inWorker).toEqual(expected);
  });

  it("lets messages through to a page that computes without a worker", async () => {
    const end = await page.evaluate(async () => {
      const { local } = globalThis as unknown as PageScope;
      const model = await local.load("toys/toy-llama.gguf", { engine: "wasm" });
      const session = model.session({
        method: "streaming-llm",
        budget: { tokens: 64 },
        turnPolicy: "each",
      });
      const controller = new AbortController();
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => controller.abort();
      port2.postMessage(null);
      const options = { maxTokens: 1e9, ignoreEos: true, signal: controller.signal };
      try {
        for await (const event of session.generate("x", options)) void event;
        return "end";
      } catch (error) {
        return (error as { code: string }).code;
      } finally {
        model.dispose();
      }
    });
    expect(end).toBe("aborted");
  });

  it("keeps the class, code and cause of errors", async () => {
    const seen = await page.evaluate(async () => {
      const { worker, local } = globalThis as unknown as PageScope;
      const failure: unknown = await worker
        .loadInWorker("toys/../nothing.gguf")
        .catch((error: unknown) => error);
      if (!(failure instanceof local.KvasirError)) return null;
      return { code: failure.code, message: failure.message };
    });
    expect(seen).toMatchObject({
      code: "not-found",
      message: expect.stringContaining("nothing.gguf"),
    });
  });
});

describe("dispose", () => {
  it("ends the worker: none is left after 200", { timeout: 120_000 }, async () => {
    const errors: string[] = [];
    const site = await openSite({ isIsolated: false });
    const page = await openPage(browser, site.url, errors);
    await page.evaluate(async () => {
      const { worker } = globalThis as unknown as PageScope;
      const bytes = await (await fetch("toys/toy-llama.gguf")).blob();
      for (let i = 0; i < 100; i++) {
        const models = [worker.loadInWorker(bytes), worker.loadInWorker(bytes)];
        for (const model of await Promise.all(models)) {
          const session = await model.session();
          await session.generate({ tokens: [1, 2] }).next();
          await model.dispose();
        }
      }
    });
    const nLocks = (): Promise<number> =>
      page.evaluate(async () => {
        const { held = [], pending = [] } = await navigator.locks.query();
        return held.length + pending.length;
      });
    await expect.poll(nLocks).toBe(0);
    await expect.poll(() => page.workers().length).toBe(0);
    expect(errors).toEqual([]);
    await page.close();
    await site.close();
  });
});
