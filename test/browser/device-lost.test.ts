// A GPU device that goes away in mid-answer, in a page on Chromium's software adapter. Needs a built
// dist/ and KVASIR_CHROMIUM, the path of a Chromium.
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { toyGolden } from "../support/toys.ts";
import { chromiumPath, openPage, openSite, type PageScope, type Site } from "./site.ts";

const TOY = "toy-llama";
const flags = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

let browser: Browser;
let site: Site;
let page: Page;
const errors: string[] = [];

interface Scope extends PageScope {
  readonly devices: GPUDevice[];
}

beforeAll(async () => {
  const args = ["--no-sandbox", ...flags];
  browser = await chromium.launch({ executablePath: chromiumPath, args });
  site = await openSite({ isIsolated: true });
  page = await openPage(browser, site.url, errors);
  await page.evaluate(() => {
    const scope = globalThis as unknown as { devices: GPUDevice[] };
    scope.devices = [];
    const { requestDevice } = GPUAdapter.prototype;
    GPUAdapter.prototype.requestDevice = async function (...args) {
      const device = await requestDevice.apply(this, args);
      scope.devices.push(device);
      return device;
    };
  });
});
afterAll(async () => {
  await browser.close();
  await site.close();
});

/** @param lostAfter Tokens after which the device is destroyed. */
function ask(ids: readonly number[], n: number, lostAfter: number) {
  return page.evaluate(
    async ({ toy, ids, n, lostAfter }) => {
      const { local, devices } = globalThis as unknown as Scope;
      const model = await local.load(`toys/${toy}.gguf`, { engine: "webgpu" });
      const first = model.engine.name;
      const session = model.session({ codec: "f32" });
      const tokens: number[] = [];
      const options = { maxTokens: n, ignoreEos: true };
      for await (const event of session.generate({ tokens: ids }, options)) {
        if (event.type !== "token") continue;
        tokens.push(event.token);
        if (tokens.length === lostAfter) devices.at(-1)?.destroy();
      }
      const { name } = model.engine;
      model.dispose();
      return { tokens, engines: [first, name], nDevices: devices.length };
    },
    { toy: TOY, ids, n, lostAfter },
  );
}

it("the answer goes on, with the text that it had to have", { timeout: 240_000 }, async () => {
  const { ids, greedy } = toyGolden(TOY);
  const given = await ask(ids, greedy.tokens.length, 4);
  expect(given.engines[0]).toBe("webgpu");
  expect(given.tokens).toEqual(greedy.tokens);
  // The one that was lost, and another in its place.
  expect(given.nDevices).toBe(2);
  expect(errors).toEqual([]);
});
