// The engine "webgpu" of the built package in a page: Chromium's own WebGPU, on SwiftShader.
import { chromium, type Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { toyGolden } from "../support/toys.ts";
import { chromiumPath, openPage, openSite, type PageScope, type Site } from "./site.ts";

const TIMEOUT_MS = 180_000;
const N_TOKENS = 12;

let browser: Browser;
let site: Site;
beforeAll(async () => {
  const args = ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
  browser = await chromium.launch({ executablePath: chromiumPath, args });
  site = await openSite({ isIsolated: true });
});
afterAll(async () => {
  await browser.close();
  await site.close();
});

it("golden tokens, eight prompt tokens at a time", { timeout: TIMEOUT_MS }, async () => {
  const errors: string[] = [];
  const page = await openPage(browser, site.url, errors);
  const { ids, greedy } = toyGolden("toy-qwen2");
  const seen = await page.evaluate(
    async ({ ids, nTokens }) => {
      const { local } = globalThis as unknown as PageScope;
      const model = await local.load("/toys/toy-qwen2.gguf", { engine: "webgpu" });
      const session = model.session({ codec: "f32", chunkSize: 8 });
      const tokens: number[] = [];
      const options = { maxTokens: nTokens, ignoreEos: true };
      for await (const event of session.generate({ tokens: ids }, options)) {
        if (event.type === "token") tokens.push(event.token);
      }
      const { name } = model.engine;
      model.dispose();
      return { tokens, name };
    },
    { ids, nTokens: N_TOKENS },
  );
  expect(errors).toEqual([]);
  expect(seen).toEqual({ tokens: greedy.tokens.slice(0, N_TOKENS), name: "webgpu" });
});
