// Saved sessions between Node and a page, and between a page and its worker: the text is transformers'.
// Needs a built dist/ and KVASIR_CHROMIUM, the path of a Chromium.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { answer } from "../support/sessions.ts";
import { openToy, toyGolden } from "../support/toys.ts";
import { launch, openPage, openSite, type PageScope, type Site } from "./site.ts";

const TOY = "toy-gemma3";
const { ids, greedy } = toyGolden(TOY);
const [read, last] = [ids.slice(0, -1), ids.slice(-1)];

let browser: Browser;
let site: Site;
let page: Page;
const errors: string[] = [];
beforeAll(async () => {
  browser = await launch();
  site = await openSite({ isIsolated: true });
  page = await openPage(browser, site.url, errors);
});
afterAll(async () => {
  await browser.close();
  await site.close();
});

/** Restores in the page, saves again in its worker, and answers; bytes travel as lists of numbers. */
function passThrough(file: number[]) {
  return page.evaluate(
    async ({ toy, file, last, n }) => {
      const { local, worker } = globalThis as unknown as PageScope;
      const model = await local.load(`toys/${toy}.gguf`, { activations: "f32", engine: "wasm" });
      const session = await model.restore(new Uint8Array(file));
      const blob = await session.save();
      const tokens: number[] = [];
      const options = { maxTokens: n, ignoreEos: true };
      for await (const event of session.fork().generate({ tokens: last }, options)) {
        if (event.type === "token") tokens.push(event.token);
      }
      model.dispose();
      const inWorker = await worker.loadInWorker(`toys/${toy}.gguf`, { activations: "f32" });
      const again = await (await inWorker.restore(blob)).save();
      await inWorker.dispose();
      return { tokens, again: [...new Uint8Array(await again.arrayBuffer())] };
    },
    { toy: TOY, file, last, n: greedy.tokens.length },
  );
}

it("from Node to a page, to its worker, and back", async () => {
  const model = await openToy(TOY);
  const session = model.session({ codec: "f32" });
  await session.read({ tokens: read });
  const file = new Uint8Array(await (await session.save()).arrayBuffer());
  const { tokens, again } = await passThrough([...file]);
  expect(tokens).toEqual(greedy.tokens);
  expect(again).toEqual([...file]);
  const back = await model.restore(Uint8Array.from(again));
  const { ids: told } = await answer(back, { tokens: last }, { maxTokens: greedy.tokens.length });
  expect(told).toEqual(greedy.tokens);
  model.dispose();
  expect(errors).toEqual([]);
});
