// The suite in a page: `runSuite` with what the page has. Goldens and the model come from the site.
import type { GoldenFolder } from "../../src/parity/golden.ts";
import { browserRuntime } from "../../src/runtime/browser.ts";
import { runSuite, type SuiteChoice, type SuiteReport } from "./suite.ts";

export interface PageOptions {
  /** The golden folder's files, and the URL that they lie under. */
  readonly golden: { readonly url: string; readonly paths: readonly string[] };
  /** URL of SmolLM2's file, null without. */
  readonly model: string | null;
  readonly choice: SuiteChoice;
}

export async function runInPage({ golden, model, choice }: PageOptions): Promise<SuiteReport> {
  const get = async (url: string): Promise<Response> => {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`Cannot fetch ${url}: status ${response.status}`);
    return response;
  };
  const folder: GoldenFolder = {
    list: async () => golden.paths,
    readJson: async (path) => (await get(golden.url + path)).json() as Promise<unknown>,
    readBytes: async (path) => new Uint8Array(await (await get(golden.url + path)).arrayBuffer()),
  };
  const bytes = model === null ? null : await (await get(model)).arrayBuffer();
  const gpu = navigator.gpu ?? null;
  return runSuite({ runtime: browserRuntime, gpu, golden: folder, model: bytes }, choice);
}
