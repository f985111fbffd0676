// What happens to a model in a worker when things end in mid-answer: workers, tabs, threads; and what tabs
// share. Needs a built dist/ and KVASIR_CHROMIUM, the path of a Chromium.
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { WorkerModel, WorkerSession } from "../../workers/session-api.ts";
import { answer } from "../support/sessions.ts";
import { openToy, toyGolden } from "../support/toys.ts";
import { launchRaw } from "./raw-chromium.ts";
import { launch, openPage, openSite, type PageScope, type Site } from "./site.ts";

/** What a page of these tests keeps between two calls. */
interface Kept extends PageScope {
  model: WorkerModel;
  session: WorkerSession;
  /** How an endless answer ended: the code of its error. */
  end: Promise<string>;
  nSeen: number;
}

let browser: Browser;
let site: Site;
let isolated: Site;
beforeAll(async () => {
  browser = await launch();
  site = await openSite({ isIsolated: false });
  isolated = await openSite({ isIsolated: true });
});
afterAll(async () => {
  await browser.close();
  await Promise.all([site.close(), isolated.close()]);
});

const errors: string[] = [];
let tabs: BrowserContext;
beforeEach(async () => {
  tabs = await browser.newContext();
});
afterEach(async () => {
  await tabs.close();
  expect(errors.splice(0)).toEqual([]);
});

/** Loads the toy, and begins an answer that does not end by itself. */
async function begin(page: Page, options: { readonly share?: boolean } = {}): Promise<void> {
  await page.evaluate(async (options) => {
    const kept = globalThis as unknown as Kept;
    kept.model = await kept.worker.loadInWorker("toys/toy-llama.gguf", options);
    kept.session = await kept.model.session({
      method: { name: "streaming-llm" },
      budget: { tokens: 64 },
      turnPolicy: "each",
    });
    kept.nSeen = 0;
    const read = async (): Promise<string> => {
      const answer = kept.session.generate("x", { maxTokens: 1e9, ignoreEos: true });
      for await (const event of answer) if (event.type === "token") kept.nSeen++;
      return "end";
    };
    kept.end = read().catch((error: unknown) => (error as { code: string }).code);
    while (kept.nSeen < 20) await new Promise((resolve) => setTimeout(resolve, 5));
  }, options);
}

const endOf = (page: Page): Promise<string> =>
  page.evaluate(() => (globalThis as unknown as Kept).end);

/** Whether the answer of a page goes on. */
async function goesOn(page: Page): Promise<boolean> {
  return page.evaluate(async () => {
    const kept = globalThis as unknown as Kept;
    const before = kept.nSeen;
    for (let i = 0; i < 400 && kept.nSeen < before + 20; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return kept.nSeen >= before + 20;
  });
}

describe("a worker that is terminated in mid-answer", () => {
  it("ends the stream and every call with worker-lost; a new one answers as before", async () => {
    const page = await openPage(tabs, isolated.url, errors);
    await begin(page);
    await page.evaluate(() => (globalThis as unknown as Kept).workers[0]?.terminate());
    expect(await endOf(page)).toBe("worker-lost");
    const { ids, greedy } = toyGolden("toy-llama");
    const after = await page.evaluate(async (ids) => {
      const kept = globalThis as unknown as Kept;
      const codes: string[] = [];
      for (const call of [kept.session.usage(), kept.model.session()]) {
        await call.catch((error: unknown) => codes.push((error as { code: string }).code));
      }
      await kept.model.dispose();
      const options = { activations: "f32" } as const;
      const model = await kept.worker.loadInWorker("toys/toy-llama.gguf", options);
      const session = await model.session();
      const tokens: number[] = [];
      const answer = session.generate({ tokens: ids }, { maxTokens: 16, ignoreEos: true });
      for await (const event of answer) if (event.type === "token") tokens.push(event.token);
      await model.dispose();
      return { codes, tokens };
    }, ids);
    expect(after.codes).toEqual(["worker-lost", "worker-lost"]);
    expect(after.tokens).toEqual(greedy.tokens.slice(0, 16));
  });
});

describe("a kernel worker that is terminated", () => {
  it("is an error of the engine, not a wait", async () => {
    const page = await openPage(tabs, isolated.url, errors);
    const seen = await page.evaluate(async () => {
      const kept = globalThis as unknown as Kept;
      const model = await kept.local.load("toys/toy-llama.gguf", { threads: 2 });
      const session = model.session({
        method: { name: "streaming-llm" },
        budget: { tokens: 64 },
        turnPolicy: "each",
      });
      const answer = session.generate("x", { maxTokens: 1e9, ignoreEos: true });
      const { nThreads } = model.engine;
      let [code, nSeen] = ["none", 0];
      try {
        for await (const event of answer) {
          if (event.type === "token" && ++nSeen === 20) kept.workers[0]?.terminate();
        }
      } catch (error) {
        ({ code } = error as { code: string });
      }
      model.dispose();
      return { nThreads, nWorkers: kept.workers.length, code };
    });
    expect(seen).toEqual({ nThreads: 2, nWorkers: 1, code: "unavailable" });
  });
});

describe("tabs that share a model", () => {
  const countLoads = (): number => site.nRequests.get("/toys/toy-llama.gguf") ?? 0;

  it("load it once; an answer goes on when the other tab closes in its own", async () => {
    const [first, second] = [
      await openPage(tabs, site.url, errors),
      await openPage(tabs, site.url, errors),
    ];
    await begin(first, { share: true });
    const nLoads = countLoads();
    await begin(second, { share: true });
    expect(countLoads()).toBe(nLoads);
    const bytes = (): Promise<number> =>
      second.evaluate(async () => (await (globalThis as unknown as Kept).model.memory()).bytes);
    const withBoth = await bytes();
    expect(await goesOn(first)).toBe(true);
    await first.close();
    expect(await goesOn(second)).toBe(true);
    // What the closed tab held is freed.
    await expect.poll(bytes).toBeLessThan(withBoth - 10_000);
    const nThreads = second.evaluate(() => (globalThis as unknown as Kept).model.engine.nThreads);
    expect(await nThreads).toBe(1);
    await second.evaluate(() => (globalThis as unknown as Kept).model.dispose());
    expect(await endOf(second)).toBe("disposed");

    // The last one out ended the worker; the next starts another.
    const third = await openPage(tabs, site.url, errors);
    await begin(third, { share: true });
    expect(countLoads()).toBeGreaterThan(nLoads);
    expect(await goesOn(third)).toBe(true);
  });

  it("are refused with busy where there are no SharedWorkers, until the model is free", async () => {
    await tabs.addInitScript(() => {
      delete (globalThis as { SharedWorker?: unknown }).SharedWorker;
    });
    const [first, second] = [
      await openPage(tabs, site.url, errors),
      await openPage(tabs, site.url, errors),
    ];
    await begin(first, { share: true });
    const asking = (): Promise<string> =>
      second.evaluate(async () => {
        const { worker } = globalThis as unknown as Kept;
        try {
          const model = await worker.loadInWorker("toys/toy-llama.gguf", { share: true });
          await model.dispose();
          return "loaded";
        } catch (error) {
          return (error as { code: string }).code;
        }
      });
    expect(await asking()).toBe("busy");
    await begin(second); // unless asked for
    await first.close();
    await expect.poll(asking).toBe("loaded");
  });
});

const LONG = { maxTokens: 200, ignoreEos: true };

describe("a hidden tab", () => {
  it("answers on, and the text is whole when it is back", { timeout: 60_000 }, async () => {
    const { ids } = toyGolden("toy-llama");
    const toy = await openToy("toy-llama");
    const expected = await answer(toy.session(), { tokens: ids }, { ...LONG });
    toy.dispose();
    const script = `<!doctype html><link rel="icon" href="data:," /><script type="module">
      import { loadInWorker } from "/dist/worker.js";
      const say = (text) => fetch("/said", { method: "POST", body: text });
      const state = () => document.visibilityState;
      document.addEventListener("visibilitychange", () => void say(state()));
      const model = await loadInWorker("toys/toy-llama.gguf", { activations: "f32" });
      const session = await model.session();
      const tokens = [];
      const options = ${JSON.stringify(LONG)};
      for await (const event of session.generate({ tokens: ${JSON.stringify(ids)} }, options)) {
        if (event.type !== "token") continue;
        tokens.push(event.token);
        if (tokens.length === 5) {
          await say("begun " + state());
          while (state() === "visible") await new Promise((resolve) => setTimeout(resolve, 10));
        }
        if (tokens.length === 100) {
          await say("answers " + state());
          while (state() === "hidden") await new Promise((resolve) => setTimeout(resolve, 10));
        }
      }
      await model.dispose();
      await say("tokens " + tokens.join());
    </script>`;
    const own = await openSite({ isIsolated: true, pages: { "/": script } });
    const chromium = await launchRaw();
    const heard = (text: string): Promise<void> =>
      expect
        .poll(() => own.posted.some((said) => said.startsWith(text)), { timeout: 15_000 })
        .toBe(true);
    try {
      const tab = await chromium.open(own.url);
      await heard("begun visible");
      await chromium.open("about:blank");
      await heard("answers hidden");
      await chromium.activate(tab);
      await heard("tokens ");
      expect(own.posted).toContain("hidden");
      expect(own.posted.at(-1)).toBe(`tokens ${expected.ids.join()}`);
    } finally {
      await chromium.close();
      await own.close();
    }
  });
});
