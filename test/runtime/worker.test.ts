// kvasir/worker in the runtimes that are programs: golden tokens in a worker, threads in the worker's own
// workers, a clean end, and kernel workers that die. Needs a built dist/.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { WORD } from "../../src/engine/wasm/pool/control.ts";
import { JOB } from "../../src/engine/wasm/pool/jobs.ts";
import { requireGolden } from "../support/golden.ts";
import { toyGolden } from "../support/toys.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "kvasir-runtime-worker-"));
afterAll(() => rmSync(folder, { recursive: true }));

const model = JSON.stringify(requireGolden("toys/toy-qwen2.gguf"));
const { ids, greedy } = toyGolden("toy-qwen2");
const deno = join(root, "node_modules", "deno", "bin.cjs");

const RUNTIMES = [
  { name: "node", command: [] },
  { name: "deno", command: [deno, "run", "--quiet", "--allow-all"] },
] as const;

describe.each(RUNTIMES)("$name", ({ name, command }) => {
  const entry = (file: string): string => JSON.stringify(join(root, "dist", file));

  /** What a program prints, as JSON; it must end by itself. */
  function run(title: string, code: string): unknown {
    const path = join(folder, `${name}-${title}.mjs`);
    writeFileSync(path, code);
    const options = { encoding: "utf8", timeout: 60_000 } as const;
    return JSON.parse(execFileSync(process.execPath, [...command, path], options));
  }

  it("answers with golden tokens from a worker with threads, and ends", () => {
    const seen = run(
      "golden",
      `import { loadInWorker } from ${entry(`worker.${name}.js`)};
       const model = await loadInWorker(${model}, { activations: "f32", threads: 2 });
       const session = await model.session();
       const tokens = [];
       const options = { maxTokens: ${greedy.tokens.length}, ignoreEos: true };
       for await (const event of session.generate({ tokens: ${JSON.stringify(ids)} }, options)) {
         if (event.type === "token") tokens.push(event.token);
       }
       const copy = await model.restore(await session.save());
       const position = (await copy.usage()).position;
       await model.dispose();
       console.log(JSON.stringify({ tokens, position, nThreads: model.engine.nThreads }));`,
    );
    const position = ids.length + greedy.tokens.length - 1;
    expect(seen).toEqual({ tokens: greedy.tokens, position, nThreads: 2 });
  });

  it("says which code ended a stream whose model was disposed", () => {
    const seen = run(
      "disposed",
      `import { readFileSync } from "node:fs";
       import { loadInWorker } from ${entry(`worker.${name}.js`)};
       const model = await loadInWorker(${model});
       const events = (await model.session()).generate("x", { maxTokens: 1e6, ignoreEos: true });
       await events.next();
       const readAll = async () => { for await (const event of events) void event; };
       const reading = readAll().catch((error) => error);
       await model.dispose();
       const end = await reading;
       // A source of its own, which is read here and must not keep the program alive either.
       const bytes = new Uint8Array(readFileSync(${model}));
       const read = async (offset, length) => bytes.slice(offset, offset + length);
       const own = await loadInWorker({ name: "mine", size: bytes.length, read });
       await own.dispose();
       const missing = await loadInWorker("nothing.gguf").catch((error) => error);
       console.log(JSON.stringify([end.code, missing.name, missing.code]));`,
    );
    expect(seen).toEqual(["disposed", "KvasirError", "not-found"]);
  });

  it("ends an answer with unavailable when a kernel worker dies", () => {
    // In the pool's place: ready, and dead at its first job that does not pack weights.
    const dying = join(folder, `${name}-dying.mjs`);
    writeFileSync(
      dying,
      `${name === "node" ? 'import { parentPort } from "node:worker_threads";' : ""}
       const start = ({ memory, control }) => {
         const words = new Int32Array(memory.buffer, control, 16);
         Atomics.add(words, ${WORD.ready}, 1);
         for (let epoch = 0; ; epoch = Atomics.load(words, ${WORD.epoch})) {
           Atomics.wait(words, ${WORD.epoch}, epoch);
           if (words[${WORD.job}] !== ${JOB.packRows}) throw new Error("trap");
         }
       };
       ${name === "node" ? 'parentPort.once("message", start)' : "onmessage = (e) => start(e.data)"};`,
    );
    const seen = run(
      "dies",
      `import { load, runtime } from ${entry(`${name}.js`)};
       ${name === "node" ? 'import { Worker } from "node:worker_threads";' : ""}
       const spawnKernelWorker = () => {
         const worker = new Worker(new URL(${JSON.stringify(pathToFileURL(dying).href)}), { type: "module" });
         return {
           post: (message) => worker.postMessage(message),
           onFailure: (callback) => {
             if (worker.on !== undefined) worker.on("error", ({ message }) => callback(message));
             else worker.onerror = (event) => { event.preventDefault(); callback(event.message); };
           },
           terminate: () => void worker.terminate(),
         };
       };
       const own = { ...runtime, hardwareThreads: 2, spawnKernelWorker };
       const model = await load(${model}, { threads: 2, runtime: own });
       const { nThreads } = model.engine;
       const session = model.session({
         method: "streaming-llm", budget: { tokens: 64 }, turnPolicy: "each",
       });
       let failure = { code: "none", message: "" };
       try {
         const options = { maxTokens: 1e6, ignoreEos: true };
         for await (const event of session.generate("x", options)) void event;
       } catch (error) { failure = error; }
       model.dispose();
       console.log(JSON.stringify({ nThreads, code: failure.code, message: failure.message }));`,
    );
    const message = expect.stringMatching(/^Cannot compute: .*trap/);
    expect(seen).toEqual({ nThreads: 2, code: "unavailable", message });
  });
});
