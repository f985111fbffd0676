// The WASM memory of wllama after a prompt: the size that its worker holds, asked for in the worker.
import { join } from "node:path";
import type { Reply } from "../job.ts";
import type { PeerOptions } from "../peers.ts";
import { wordText } from "../text.ts";
import { flags } from "./chromium.ts";
import { serve } from "./page-server.ts";

const CONTEXT_STEP = 256;
const HEADROOM = 64;

/** Put before the worker's program: notes each memory that is made or exported. */
const note = `{
  const memories = (globalThis.memories = new Set());
  const { Memory } = WebAssembly;
  WebAssembly.Memory = new Proxy(Memory, {
    construct(target, [descriptor]) {
      const memory = new target(descriptor);
      memories.add(memory);
      return memory;
    },
  });
  for (const name of ["instantiate", "instantiateStreaming"]) {
    const original = WebAssembly[name];
    WebAssembly[name] = async (...values) => {
      const made = await original.apply(WebAssembly, values);
      for (const value of Object.values((made.instance ?? made).exports)) {
        if (value instanceof Memory) memories.add(value);
      }
      return made;
    };
  }
}
`;

const page = `<!doctype html><meta charset="utf-8"><script type="module">
import { LoggerWithoutDebug, Wllama } from "/index.js";
const { createObjectURL } = URL;
URL.createObjectURL = (blob) => {
  const isProgram = blob.type === "text/javascript";
  const parts = [${JSON.stringify(note)}, blob];
  return createObjectURL(isProgram ? new Blob(parts, { type: blob.type }) : blob);
};
globalThis.readPrompt = async ({ threads, contextSize, prompt }) => {
  const model = await (await fetch("/model.gguf")).blob();
  const settings = { suppressNativeLog: true, logger: LoggerWithoutDebug };
  const engine = new Wllama({ default: "/wasm/wllama.wasm" }, settings);
  const rows = { cache_type_k: "f16", cache_type_v: "f16", flash_attn: true, ctx_shift: false };
  const sizes = { n_ctx: contextSize, n_batch: 512, n_ubatch: 512, n_parallel: 1 };
  await engine.loadModel([model], { n_threads: threads, n_gpu_layers: 0, ...sizes, ...rows });
  let nRead = 0;
  await engine.createCompletion({
    prompt,
    max_tokens: 1,
    temperature: 0,
    stream: true,
    onData: ({ timings }) => (nRead = timings?.prompt_n ?? nRead),
  });
  return nRead;
};
</script>`;

const memoryBytes =
  "[...(globalThis.memories ?? [])].reduce((sum, { buffer }) => sum + buffer.byteLength, 0)";

/** Reads `nTokens` words into f16 rows. @returns `reservedBytes`. */
export async function wllamaMemory(nTokens: number, options: PeerOptions): Promise<Reply> {
  const folder = join(options.folder, "node_modules", "@wllama", "wllama", "esm");
  const { chromium } = await import("playwright-core");
  const server = await serve({ folder, model: options.model, page });
  const browser = await chromium.launch({
    executablePath: options.browser,
    args: [...flags, "--disable-gpu"],
  });
  try {
    const tab = await browser.newPage();
    tab.setDefaultTimeout(0); // minutes
    await tab.goto(server.url);
    await tab.waitForFunction("typeof readPrompt === 'function'");
    const contextSize = Math.ceil((nTokens + HEADROOM) / CONTEXT_STEP) * CONTEXT_STEP;
    const asked = { threads: options.threads, contextSize, prompt: wordText(nTokens, 0) };
    const nRead = await tab.evaluate(async (sent) => {
      const { readPrompt } = globalThis as unknown as {
        readPrompt: (asked: unknown) => Promise<number>;
      };
      return readPrompt(sent);
    }, asked);
    // One more where the model wants a beginning.
    if (nRead < nTokens || nRead > nTokens + 1) {
      return {
        kind: "wrong",
        reason: `Cannot compare: ${nTokens} tokens are wanted, it read ${nRead}`,
      };
    }
    const sizes = await Promise.all(
      tab.workers().map((worker) => worker.evaluate<number>(memoryBytes)),
    );
    const reservedBytes = Math.max(0, ...sizes);
    if (reservedBytes === 0) return { kind: "failed", reason: "Cannot find wllama's memory" };
    return { kind: "done", metrics: { reservedBytes }, output: { nRead }, facts: null };
  } catch (error) {
    return { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
  } finally {
    await browser.close();
    await server.close();
  }
}
