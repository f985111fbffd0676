// What a page with a model in a worker feels, in a real browser: tasks of the page that are long enough to be
// noticed, and memory over the turns of a conversation with a fixed budget. Needs a built dist/.
//
//   node scripts/measure-page.mjs [--model FILE] [--tokens 200] [--turns 30] [--bytes 4194304]
//                                 [--here] [--plain] [--record FILE]
//
// --here runs the model in the page itself, for comparison; --plain leaves the page without threads.
// Prints one JSON object; leaves with 1 when there was a long task or memory was not flat.
/* global document, PerformanceObserver */
import { createReadStream, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { cpus, loadavg } from "node:os";
import { basename, extname, join, normalize } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { ensureChromium } from "./ensure-chromium.mjs";
import { root, say } from "./lib/run.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: ".cache/models/SmolLM2-135M-Instruct.Q4_1.gguf" },
    tokens: { type: "string", default: "200" },
    turns: { type: "string", default: "30" },
    bytes: { type: "string", default: String(4 << 20) },
    here: { type: "boolean", default: false },
    plain: { type: "boolean", default: false },
    record: { type: "string" },
  },
});

/** From this turn on memory may not move by more than this share. */
const FIRST_FLAT_TURN = 5;
const FLAT = 0.02;

const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm" };
const PAGE = `<!doctype html><meta charset="utf-8" /><link rel="icon" href="data:," /><output></output>
<script type="module">
  import * as local from "/dist/browser.js";
  import * as worker from "/dist/worker.js";
  Object.assign(globalThis, { local, worker });
</script>`;

function serve() {
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://localhost").pathname;
    const headers = values.plain
      ? {}
      : {
          "Cross-Origin-Opener-Policy": "same-origin",
          "Cross-Origin-Embedder-Policy": "require-corp",
        };
    if (path === "/") {
      response.writeHead(200, { ...headers, "Content-Type": "text/html" }).end(PAGE);
      return;
    }
    const file = path === "/model.gguf" ? values.model : join(root, normalize(path));
    const size = statSync(file, { throwIfNoEntry: false })?.size;
    if (size === undefined) {
      response.writeHead(404, headers).end();
      return;
    }
    const type = TYPES[extname(file)] ?? "application/octet-stream";
    response.writeHead(200, { ...headers, "Content-Type": type, "Content-Length": size });
    createReadStream(file).pipe(response);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

/** Bytes in memory of the renderers of this browser (proportional set), told apart by a flag that only it has; Linux. */
function residentBytes(flag) {
  const processes = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      const parent = /\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1];
      processes.set(pid, { command, parent });
    } catch {
      // It ended meanwhile.
    }
  }
  const isOurs = (pid) => {
    const found = processes.get(pid);
    return found !== undefined && (found.command.includes(flag) || isOurs(found.parent));
  };
  let bytes = 0;
  for (const [pid, { command }] of processes) {
    if (!command.includes("--type=renderer") || !isOurs(pid)) continue;
    const kilobytes = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
    bytes += 1024 * Number(kilobytes?.[1] ?? 0);
  }
  return bytes;
}

/** In the page: watches its tasks, then loads the model. */
async function prepare({ isHere, bytes }) {
  const { local, worker } = globalThis;
  globalThis.longTasks = [];
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) {
      globalThis.longTasks.push({ startTime, duration });
    }
  }).observe({ type: "longtask" });
  // A task that is long on purpose: an observer that sees none would prove nothing.
  await new Promise((resolve) => setTimeout(resolve, 200));
  const until = performance.now() + 80;
  while (performance.now() < until);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const nSeen = globalThis.longTasks.length;
  const load = isHere ? local.load : worker.loadInWorker;
  const model = await load("model.gguf");
  const options = { method: "streaming-llm", budget: { bytes }, turnPolicy: "each" };
  Object.assign(globalThis, { model, options, session: await model.session(options) });
  return { nSeen, nThreads: model.engine.nThreads, loadMs: model.loadMs };
}

/** In the page: one turn, shown as it comes. */
async function turn({ text, maxTokens }) {
  const { model, session } = globalThis;
  const output = document.querySelector("output");
  const before = globalThis.longTasks.length;
  const started = performance.now();
  let nTokens = 0;
  const ask = [{ role: "user", content: text }];
  const answer = session.generate(ask, { maxTokens, ignoreEos: true });
  for await (const event of answer) {
    if (event.type !== "token") continue;
    nTokens++;
    output.append(event.text);
  }
  output.textContent = "";
  await new Promise((resolve) => setTimeout(resolve, 100));
  const { cache } = await session.usage();
  const engine = await model.memory();
  const tasks = globalThis.longTasks.slice(before).map(({ duration }) => duration);
  return {
    nTokens,
    ms: performance.now() - started,
    longTasksMs: tasks,
    cacheBytes: cache.bytes,
    engineBytes: engine.bytes,
    wasmBytes: engine.reservedBytes,
  };
}

const server = await serve();
const executablePath = await ensureChromium();
const flag = `--kvasir-measure-${process.pid}`;
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", flag],
});
try {
  const page = await browser.newPage();
  await page.goto(`http://localhost:${server.address().port}/`);
  await page.waitForFunction("globalThis.worker !== undefined");
  const facts = await page.evaluate(prepare, { isHere: values.here, bytes: Number(values.bytes) });
  const longTasksOfLoad = await page.evaluate((n) => globalThis.longTasks.slice(n), facts.nSeen);
  const first = await page.evaluate(turn, {
    text: "Tell me a long story about two ravens, a lamp and a ship that came in at night.",
    maxTokens: Number(values.tokens),
  });
  const turns = [];
  const session = await page.context().newCDPSession(page);
  for (let n = 1; n <= Number(values.turns); n++) {
    const text = `Question ${n}: and what did the raven of house number ${n} do then?`;
    const measured = await page.evaluate(turn, { text, maxTokens: 32 });
    await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = await session.send("Runtime.getHeapUsage");
    turns.push({ ...measured, pageHeapBytes: usedSize, residentBytes: residentBytes(flag) });
    say(`turn ${n}: ${JSON.stringify(turns.at(-1))}`);
  }
  report(facts, longTasksOfLoad, first, turns);
} finally {
  await browser.close();
  server.close();
  server.closeAllConnections();
}

function report(facts, longTasksOfLoad, first, turns) {
  const flat = turns.slice(FIRST_FLAT_TURN - 1);
  const spread = (key) => {
    const all = flat.map((one) => one[key]);
    const [least, most] = [Math.min(...all), Math.max(...all)];
    return { least, most, share: (most - least) / least };
  };
  const keys = ["cacheBytes", "engineBytes", "wasmBytes", "pageHeapBytes", "residentBytes"];
  const memory = Object.fromEntries(keys.map((key) => [key, spread(key)]));
  const longTasksMs = [first, ...turns].flatMap((one) => one.longTasksMs);
  const result = {
    date: new Date().toISOString().slice(0, 10),
    machine: { cpu: cpus()[0]?.model.trim(), nCores: cpus().length, loadAverage: loadavg() },
    browser: browser.version(),
    model: basename(values.model),
    place: values.here ? "page" : "worker",
    isIsolated: !values.plain,
    nThreads: facts.nThreads,
    loadMs: facts.loadMs,
    observerSees: facts.nSeen,
    longTasksOfLoadMs: longTasksOfLoad.map(({ duration }) => duration),
    answer: { nTokens: first.nTokens, ms: first.ms, longTasksMs: first.longTasksMs },
    nTurns: turns.length,
    budgetBytes: Number(values.bytes),
    longTasksMs,
    flatFromTurn: FIRST_FLAT_TURN,
    memory,
  };
  const text = `${JSON.stringify(result, null, 2)}\n`;
  process.stdout.write(text);
  if (values.record !== undefined) writeFileSync(values.record, text);
  const isFlat = Object.values(memory).every(({ share }) => share <= FLAT);
  if (facts.nSeen === 0 || longTasksMs.length > 0 || !isFlat) process.exitCode = 1;
}
