// Pages in a real browser: the README's page with a toy model, and the map that `kvasir compare` draws.
// Needs a built dist/ and KVASIR_CHROMIUM, the path of a Chromium.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { requireGolden } from "../support/golden.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const model = requireGolden("toys/toy-llama.gguf");
const folder = mkdtempSync(join(tmpdir(), "kvasir-pages-"));
const types: Readonly<Record<string, string>> = {
  ".js": "text/javascript",
  ".wasm": "application/wasm",
};
let browser: Browser;

beforeAll(async () => {
  const executablePath = process.env["KVASIR_CHROMIUM"] || "/usr/bin/chromium";
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
});
afterAll(async () => {
  await browser.close();
  rmSync(folder, { recursive: true });
});

/** A page whose errors fail the test. */
async function openPage(url: string, errors: string[]): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().includes("favicon")) {
      errors.push(message.text());
    }
  });
  await page.goto(url);
  return page;
}

describe("the README's page", () => {
  let server: Server;
  beforeAll(async () => {
    const readme = readFileSync(join(root, "README.md"), "utf8");
    const html = /^```html\n(.*?)^```$/ms.exec(readme)?.[1] ?? "";
    server = createServer((request, response) => {
      const path = new URL(request.url ?? "/", "http://localhost").pathname;
      const inDist = /^\/node_modules\/kvasir\/(dist\/[\w./-]+)$/.exec(path)?.[1];
      if (path === "/") response.setHeader("content-type", "text/html").end(html);
      else if (path === "/model.gguf") response.end(readFileSync(model));
      else if (inDist !== undefined && !inDist.includes("..")) {
        response.setHeader("content-type", types[extname(inDist)] ?? "text/plain");
        response.end(readFileSync(join(root, inDist)));
      } else response.writeHead(path === "/favicon.ico" ? 204 : 404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  afterAll(() => server.close());

  it("answers", async () => {
    const errors: string[] = [];
    const { port } = server.address() as AddressInfo;
    const page = await openPage(`http://localhost:${port}/`, errors);
    await expect.poll(() => page.textContent("output"), { timeout: 20_000 }).not.toBe("");
    expect(errors).toEqual([]);
    await page.close();
  });
});

describe("the map of kept tokens", () => {
  it("draws in both colour schemes, filters by budget and tells tokens on hover", async () => {
    const [text, html] = [join(folder, "text.txt"), join(folder, "kept.html")];
    writeFileSync(text, "One lamp burned.\n\nTwo ships came in. ".repeat(4));
    const ask = ["--model", model, "--file", text, "--question", "Who <b>slept</b>?"];
    const methods = ["--methods", "recent-only,h2o", "--keep", "0.5,0.2", "--max-tokens", "4"];
    const args = [join(root, "dist", "cli.js"), "compare", ...ask, ...methods, "--html", html];
    execFileSync(process.execPath, args, { stdio: ["ignore", "ignore", "ignore"] });

    const errors: string[] = [];
    const page = await openPage(pathToFileURL(html).href, errors);
    const colours = (): Promise<number[][]> =>
      page.evaluate(() => {
        const map = document.querySelector<HTMLCanvasElement>("canvas[role=img]");
        const context = map?.getContext("2d");
        const pixel = (x: number): number[] =>
          Array.from(context?.getImageData(x, 0, 1, 1).data ?? []).slice(0, 3);
        return [pixel(0), pixel((map?.width ?? 1) - 1)]; // dropped, kept
      });
    expect(await colours()).toEqual([
      [0xed, 0xf0, 0xf3],
      [0x08, 0x39, 0x6b],
    ]);
    await page.emulateMedia({ colorScheme: "dark" });
    await expect.poll(colours).toEqual([
      [0x1d, 0x24, 0x2d],
      [0xd3, 0xec, 0xff],
    ]);

    expect(await page.textContent("dl")).toContain("Who <b>slept</b>?");
    const shown = (): Promise<number> => page.locator("figure:visible").count();
    expect(await shown()).toBe(4);
    await page.getByRole("button", { name: "keep 0.2" }).click();
    expect(await shown()).toBe(2);

    const map = page.locator("canvas[role=img]:visible").first();
    const box = await map.boundingBox();
    await map.hover({ position: { x: (box?.width ?? 0) - 2, y: 2 } });
    expect(await page.textContent("#tip")).toMatch(
      /^layer 0, token \d+: kept by (\d+) of \1 kv heads/,
    );
    expect(errors).toEqual([]);
    await page.close();
  });
});
