// Models kept in a real browser's private file system: what is promised when all goes well, and when
// the network, the disk, the server or the user get in the way. Needs a built dist/ and Chromium.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Faults, type FaultServer, startFaultServer } from "../support/fault-server.ts";
import { padded } from "../support/toy-file.ts";
import { toyBytes, toyGolden } from "../support/toys.ts";
import { STORAGE_CASES } from "../contract/storage-cases.ts";
import { seededCuts } from "../unit/runtime/pattern.ts";
import type { ActionName, Actions } from "./storage-tab.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const PIECE = 4 << 20;
const toy = toyGolden("toy-llama");
const other = toyGolden("toy-qwen2");
/** Toys in files that are long enough to be cut, closed and refused. */
const model = await padded(toyBytes("toy-llama"), 24_000_000);
const replaced = await padded(toyBytes("toy-qwen2"), 24_000_000);
const sha256 = createHash("sha256").update(model).digest("hex");
const WHERE = ["page", "worker"] as const;
type Where = (typeof WHERE)[number];

let browser: Browser;
let site: Server;
let origin: string;
let context: BrowserContext;
let server: FaultServer | undefined;

beforeAll(async () => {
  const entry = join(root, "test", "browser", "storage-tab.ts");
  const [tab] = buildSync({
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    write: false,
  }).outputFiles;
  const types: Readonly<Record<string, string>> = { ".js": "text/javascript" };
  site = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    const type =
      types[extname(path)] ?? (extname(path) === ".wasm" ? "application/wasm" : "text/html");
    response.setHeader("content-type", type);
    if (path === "/") response.end('<script type="module" src="/tab.js"></script>');
    else if (path === "/tab.js") response.end(tab?.contents);
    else if (/^\/dist\/[\w./-]+$/.test(path) && !path.includes("..")) {
      response.end(readFileSync(join(root, path)));
    } else response.writeHead(path === "/favicon.ico" ? 204 : 404).end();
  });
  await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
  origin = `http://localhost:${(site.address() as AddressInfo).port}`;
  const executablePath = process.env["KVASIR_CHROMIUM"] || "/usr/bin/chromium";
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
});
afterAll(async () => {
  await browser.close();
  site.close();
});
beforeEach(async () => {
  context = await browser.newContext(); // with storage of its own
});
afterEach(async () => {
  await context.close();
  await server?.close();
  server = undefined;
});

async function serve(faults: Faults = {}): Promise<string> {
  server = await startFaultServer(model, faults);
  return server.url;
}

async function openTab(): Promise<Page> {
  const page = await context.newPage();
  await page.goto(origin);
  await page.waitForFunction(() => "run" in globalThis);
  return page;
}

/** Runs an action of storage-tab.ts in the page, or in a worker of it. */
function run<Name extends ActionName>(
  page: Page,
  where: Where,
  name: Name,
  ...args: Parameters<Actions[Name]>
): ReturnType<Actions[Name]> {
  type Scope = Record<string, (name: string, ...args: unknown[]) => unknown>;
  const call = page.evaluate(
    ([way, action, values]) =>
      (globalThis as unknown as Scope)[way]?.(action, ...(values as unknown[])),
    [where === "page" ? "run" : "runInWorker", name, args] as const,
  );
  return call as ReturnType<Actions[Name]>;
}

const phasesOf = ({ progress }: { readonly progress: readonly { readonly phase: string }[] }) => [
  ...new Set(progress.map(({ phase }) => phase)),
];

const right = { tokens: toy.greedy.tokens.slice(0, 6), error: null };

describe.each(WHERE)("the private file system in a %s", (where) => {
  let results: Record<string, string | null>;
  beforeAll(async () => {
    context = await browser.newContext();
    results = await run(await openTab(), where, "contract");
    await context.close();
  });

  it.each(STORAGE_CASES.map(({ name }) => name))("%s", (name) => {
    expect(results[name]).toBe(null);
  });
});

describe.each(WHERE)("load in a %s", (where) => {
  it("stores a model, and starts from there without a network", async () => {
    const url = await serve();
    const page = await openTab();
    const first = await run(page, where, "answer", url, { ids: toy.ids });
    expect(first).toMatchObject(right);
    expect(phasesOf(first)).toEqual(["download", "load"]);
    expect(first.progress.filter(({ phase }) => phase === "download").at(-1)).toMatchObject({
      bytes: model.length,
      totalBytes: model.length,
    });
    expect(first.progress.every(({ rate }) => rate >= 0)).toBe(true);
    await server!.close();
    await page.reload();
    await page.waitForFunction(() => "run" in globalThis);
    const again = await run(page, where, "answer", url, { ids: toy.ids });
    expect(again).toMatchObject(right);
    expect(phasesOf(again)).toEqual(["load"]);
    const { models, size } = await run(page, where, "store");
    expect(models).toMatchObject([{ url, bytes: model.length, isComplete: true }]);
    expect(size).toEqual({
      bytes: expect.any(Number),
      freeBytes: expect.any(Number),
    });
    expect(await run(page, where, "remove", url)).toBe(true);
    expect((await run(page, where, "store")).folders).toEqual([]);
    server = undefined;
  });

  it("survives a network that cuts connections, and a server without ranges", async () => {
    const page = await openTab();
    const cut = await serve({ cuts: seededCuts(5, 6, 6_000_000) });
    expect(await run(page, where, "answer", cut, { ids: toy.ids, sha256 })).toMatchObject(right);
    await server!.close();
    const whole = await serve({ ranges: false, cuts: [PIECE + 7] });
    expect(await run(page, where, "answer", whole, { ids: toy.ids })).toMatchObject(right);
  });

  it("is refused with a code, and leaves nothing", async () => {
    const page = await openTab();
    const url = await serve({ statuses: [404, 416, 416] });
    const refused: string[] = [];
    for (const options of [{}, {}, { sha256: "0".repeat(64) }]) {
      const { error } = await run(page, where, "answer", url, { ids: toy.ids, ...options });
      refused.push(error?.code ?? "");
    }
    expect(refused).toEqual(["not-found", "network", "checksum"]);
    expect((await run(page, where, "store")).folders).toEqual([]);
  });

  it("goes on where a page was closed", async () => {
    const url = await serve({ stallAfter: 5 * PIECE + 1000 });
    const closed = await openTab();
    expect(await run(closed, where, "begin", url, 5 * PIECE)).toBeLessThan(model.length);
    const page = await openTab();
    const stored = async () => (await run(page, where, "store")).models[0]?.bytes ?? 0;
    await expect.poll(stored, { timeout: 10_000 }).toBeGreaterThanOrEqual(4 * PIECE);
    const bytes = await stored();
    expect(bytes).toBeLessThan(model.length);
    await closed.close();
    await expect.poll(() => server!.nAnswers()).toBe(0);
    expect(await run(page, where, "answer", url, { ids: toy.ids, sha256 })).toMatchObject(right);
    expect(server!.ranges).toEqual(["bytes=0-", `bytes=${bytes}-`]);
  });

  it("says how much is wanted when storage is full, and does without unless told", async () => {
    const page = await openTab();
    const devtools = await context.newCDPSession(page);
    const setQuota = (quotaSize: number) =>
      devtools.send("Storage.overrideQuotaForOrigin", { origin, quotaSize });
    await setQuota(9_000_000);
    const faults: Faults = {};
    const url = await serve(faults);
    const ids = { ids: toy.ids };
    const full = await run(page, where, "answer", url, { ...ids, store: true });
    expect(full.error?.code).toBe("storage-full");
    const [, wanted, free] = /(\d+) bytes are wanted, (\d+) bytes/.exec(full.error!.message) ?? [];
    expect(Number(wanted)).toBe(model.length);
    // Sync access handles may pass the quota by a few pieces; what fitted is what is told.
    expect(Number(free)).toBeGreaterThan(0);
    expect(Number(free)).toBeLessThan(model.length);
    expect(await run(page, where, "answer", url, ids)).toMatchObject(right);
    // A server that does not say how long the file is: the disk runs full in the middle.
    Object.assign(faults, { ranges: false, isChunked: true });
    const later = await run(page, where, "answer", url, { ...ids, store: true });
    expect(later.error?.code).toBe("storage-full");
    expect(await run(page, where, "answer", url, ids)).toMatchObject(right);
    expect((await run(page, where, "store")).folders).toEqual([]);
    await setQuota(500_000_000);
    expect(await run(page, where, "answer", url, { ...ids, store: true })).toMatchObject(right);
  });
});

describe("load in tabs", () => {
  it("notices a file that was replaced under the same URL", async () => {
    let etag = '"one"';
    const url = await serve({ etag: () => etag });
    const page = await openTab();
    expect(await run(page, "page", "answer", url, { ids: toy.ids })).toMatchObject(right);
    server!.replace(replaced);
    etag = '"two"';
    expect(await run(page, "page", "answer", url, { ids: other.ids })).toMatchObject({
      tokens: other.greedy.tokens.slice(0, 6),
      error: null,
    });
    expect((await run(page, "page", "store")).folders.length).toBe(2);
  });

  it("downloads once for two tabs at once", async () => {
    const url = await serve({ stallAfter: 2 * PIECE });
    const tabs = [await openTab(), await openTab(), await openTab()] as const;
    const both = Promise.all([
      run(tabs[0], "page", "answer", url, { ids: toy.ids }),
      run(tabs[1], "worker", "answer", url, { ids: toy.ids }),
    ]);
    await expect.poll(() => run(tabs[2], "page", "waiting")).toBe(1);
    server!.release();
    const answers = await both;
    for (const answer of answers) expect(answer).toMatchObject(right);
    expect(server!.ranges).toEqual(["bytes=0-"]);
    expect(answers.map(phasesOf).sort()).toEqual([
      ["download", "load"],
      ["wait", "load"],
    ]);
  });

  it("goes on in the second tab when the first is closed", async () => {
    const url = await serve({ stallAfter: 5 * PIECE + 1000 });
    const [first, second] = [await openTab(), await openTab()];
    await run(first, "worker", "begin", url, 5 * PIECE);
    const answer = run(second, "worker", "answer", url, { ids: toy.ids });
    await expect.poll(() => run(second, "page", "waiting")).toBe(1);
    await first.close();
    expect(await answer).toMatchObject(right);
    expect(server!.ranges.length).toBe(2);
  });

  it("loads a File that the user chose, and stores nothing", async () => {
    const url = await serve();
    const page = await openTab();
    const answer = await run(page, "page", "answer", url, { ids: toy.ids, asFile: true, sha256 });
    expect(answer).toMatchObject(right);
    expect((await run(page, "page", "store")).folders).toEqual([]);
  });
});
