// Chromium: a browser of its own per job, on a page that is cross-origin isolated.
import type { Job, Reply } from "../job.ts";
import { serve } from "./page-server.ts";
import type { BenchRuntime, RuntimeFiles } from "./runtime.ts";

// The flags that the other runtimes' pages run with.
export const flags = [
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
  const server = await serve({ ...files, page });
  const options = { program, flags: more };
  return {
    name: "kvasir, chromium",
    run: (task) => {
      const isGpu = task.settings.engine === "webgpu";
      const job = { ...task, entry: "/package/browser.js", model: "/model.gguf" };
      return runPage(job, server.url, options, isGpu);
    },
    close: () => server.close(),
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
