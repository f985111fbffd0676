// The WebGPU suite in a page: Chromium's own WebGPU, on SwiftShader. No adapter is a failure.
import { readdirSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { PageOptions } from "../stacks/page.ts";
import type { SuiteReport } from "../stacks/suite.ts";
import { requireModel } from "../support/models.ts";
import { expectPassed, expectWhole, makeSuite, suiteNames } from "../support/stacks.ts";
import { chromiumPath, openPage, openSite, type Site } from "./site.ts";

const TIMEOUT_MS = 1_500_000;
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const filesOf = (folder: string): string[] =>
  readdirSync(join(ROOT, "test", "golden", folder)).map((name) => `${folder}/${name}`);

let browser: Browser;
let site: Site;
let suite: Awaited<ReturnType<typeof makeSuite>>;
beforeAll(async () => {
  const flags = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
  const args = ["--no-sandbox", ...flags];
  browser = await chromium.launch({ executablePath: chromiumPath, args });
  [site, suite] = await Promise.all([openSite({ isIsolated: true }), makeSuite()]);
});
afterAll(async () => {
  await browser.close();
  await site.close();
  suite.remove();
});

it(
  "Chromium: every op, the dense mask, the toys and SmolLM2",
  { timeout: TIMEOUT_MS },
  async () => {
    const model = relative(ROOT, requireModel("smollm2"));
    const names = await suiteNames(suite.folder, ["--quick", "--model", model]);
    expectWhole(names);
    const errors: string[] = [];
    const page = await openPage(browser, site.url, errors);
    const options: PageOptions = {
      golden: { url: "/test/golden/", paths: ["toys", "smollm2/forward"].flatMap(filesOf) },
      model: `/${model}`,
      choice: { isQuick: true },
    };
    // As text: vitest would rewrite the import.
    const url = `/.cache/${basename(suite.folder)}/suite.page.js`;
    const call = `runInPage(${JSON.stringify(options)})`;
    const report = await page.evaluate(`import("${url}").then(({ runInPage }) => ${call})`);
    expectPassed(report as SuiteReport, names);
    expect(errors).toEqual([]);
  },
);
