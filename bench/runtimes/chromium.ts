// Chromium: a browser of its own per job, on a page that is cross-origin isolated.
import { createReadStream, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import type { Job, Reply } from "../job.ts";
import type { BenchRuntime, RuntimeFiles } from "./runtime.ts";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".wasm": "application/wasm",
};

// The flags that the other runtimes' pages run with.
const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export interface ChromiumOptions {
  readonly program: string;
  /** More flags, such as those that choose a WebGPU adapter. */
  readonly flags: readonly string[];
}

export async function chromiumRuntime(
  { program, flags: more }: ChromiumOptions,
  files: RuntimeFiles,
): Promise<BenchRuntime> {
  const server = createServer((request, response) => answer(files, request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const options = { program, flags: more };
  return {
    name: "kvasir, chromium",
    run: (task) => {
      const isGpu = task.settings.engine === "webgpu";
      const job = { ...task, entry: "/package/browser.js", model: "/model.gguf" };
      return runPage(job, `http://localhost:${port}/`, options, isGpu);
    },
    close: () => closeServer(server),
  };
}

async function runPage(
  job: Job,
  url: string,
  options: ChromiumOptions,
  isGpu: boolean,
): Promise<Reply> {
  const args = [...flags, ...(isGpu ? ["--enable-unsafe-webgpu"] : ["--disable-gpu"])];
  // A packed benchmark runs where there is none.
  const { chromium } = await import("playwright-core");
  const browser = await chromium.launch({
    executablePath: options.program,
    args: [...args, ...options.flags],
  });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(0); // a long prompt takes minutes
    await page.goto(url);
    await page.waitForFunction("typeof runJob === 'function'");
    const text = await page.evaluate(async (sent) => {
      const { runJob } = globalThis as unknown as { runJob: (job: unknown) => Promise<unknown> };
      return JSON.stringify(await runJob(JSON.parse(sent)));
    }, JSON.stringify(job));
    return JSON.parse(text) as Reply;
  } catch (error) {
    return { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
  } finally {
    await browser.close();
  }
}

const page =
  '<!doctype html><meta charset="utf-8"><script type="module" src="/worker-page.js"></script>';

function answer(files: RuntimeFiles, request: IncomingMessage, response: ServerResponse): void {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  const headers = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
  };
  if (pathname === "/") {
    response.writeHead(200, { ...headers, "Content-Type": "text/html" }).end(page);
    return;
  }
  const isModel = pathname === "/model.gguf";
  const path = isModel ? files.model : join(files.folder, normalize(pathname));
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) {
    response.writeHead(404, headers).end();
    return;
  }
  const type = types[extname(path)] ?? "application/octet-stream";
  response.writeHead(200, { ...headers, "Content-Type": type, "Content-Length": size });
  createReadStream(path).pipe(response);
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
