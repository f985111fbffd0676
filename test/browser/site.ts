// A site on this machine: the built package, the toy models, and a page that has both of the package's
// entries at hand; with and without what makes pages cross-origin isolated.
import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import type * as local from "../../src/entry/browser.ts";
import type * as worker from "../../workers/client.ts";
import { requireGolden } from "../support/golden.ts";

/** What scripts in the page find in `globalThis`. */
export interface PageScope {
  readonly local: typeof local;
  readonly worker: typeof worker;
  /** Workers that the page made, in order. */
  readonly workers: Worker[];
}

const PAGE = `<!doctype html>
<meta charset="utf-8" />
<link rel="icon" href="data:," />
<script>
  globalThis.workers = [];
  globalThis.Worker = class extends Worker {
    constructor(...args) {
      super(...args);
      globalThis.workers.push(this);
    }
  };
</script>
<script type="module">
  import * as local from "/dist/browser.js";
  import * as worker from "/dist/worker.js";
  Object.assign(globalThis, { local, worker, isReady: true });
</script>`;

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".wasm": "application/wasm",
};

const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

export interface Site {
  readonly url: string;
  /** Requests by path. */
  readonly nRequests: ReadonlyMap<string, number>;
  /** Bodies of what was posted. */
  readonly posted: readonly string[];
  close(): Promise<void>;
}

export interface SiteOptions {
  readonly isIsolated: boolean;
  /** More pages, by path. */
  readonly pages?: Readonly<Record<string, string>>;
  /** Folder that `/dist/` is in. Default: this repository. */
  readonly root?: string;
}

export async function openSite({ isIsolated, pages = {}, root }: SiteOptions): Promise<Site> {
  const folder = root ?? fileURLToPath(new URL("../..", import.meta.url));
  const nRequests = new Map<string, number>();
  const posted: string[] = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    nRequests.set(path, (nRequests.get(path) ?? 0) + 1);
    const headers = isIsolated ? ISOLATION : {};
    if (request.method === "POST") {
      let body = "";
      request.on("data", (part) => (body += String(part)));
      request.on("end", () => {
        posted.push(body);
        response.writeHead(204, headers).end();
      });
      return;
    }
    const body = contentOf(path, { "/": PAGE, ...pages }, folder);
    if (body === undefined) response.writeHead(404, headers).end();
    else {
      const type = TYPES[extname(path)] ?? (typeof body === "string" ? "text/html" : "");
      // The package is the same for as long as a test runs.
      const caching = path.startsWith("/dist/") ? "max-age=600" : "no-store";
      response.writeHead(200, {
        ...headers,
        "Content-Type": type || "application/octet-stream",
        "Cache-Control": caching,
      });
      response.end(body);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://localhost:${port}/`,
    ...{ nRequests, posted },
    close: () => closeServer(server),
  };
}

function contentOf(
  path: string,
  pages: Readonly<Record<string, string>>,
  folder: string,
): string | Buffer | undefined {
  const page = pages[path];
  if (page !== undefined) return page;
  const toy = /^\/toys\/([\w.-]+)$/.exec(path)?.[1];
  if (toy !== undefined) return readFileSync(requireGolden(`toys/${toy}`));
  const file = join(folder, normalize(path));
  return existsSync(file) && extname(file) !== "" ? readFileSync(file) : undefined;
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** The path of a Chromium. */
export const chromiumPath = process.env["KVASIR_CHROMIUM"] || "/usr/bin/chromium";

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath,
    args: ["--no-sandbox", "--disable-gpu"],
  });
}

/** A page of the site, ready; what it complains about goes to `errors`. */
export async function openPage(
  from: Browser | BrowserContext,
  url: string,
  errors: string[],
): Promise<Page> {
  const page = await from.newPage();
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  await page.goto(url);
  await page.waitForFunction("globalThis.isReady === true");
  return page;
}
