// `kvasir compare` on a toy, its numbers against plain loops: the naive transformer with the dropped
// positions masked, and divergences written out here.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compareCommand } from "../../../cli/compare.ts";
import { comparePrompt } from "../../../cli/compare-prompt.ts";
import { CompareProgress } from "../../../cli/compare-progress.ts";
import { runFull, runMethod } from "../../../cli/compare-run.ts";
import type { PageData } from "../../../cli/compare-page.ts";
import { UsageError } from "../../../cli/options.ts";
import type { LocalModel } from "../../../src/session/local-model.ts";
import { load } from "../../../src/load.ts";
import { nodeRuntime } from "../../../src/runtime/node.ts";
import type { ChatTemplate } from "../../../src/tokenizer/tokenizer.ts";
import { requireGolden } from "../../support/golden.ts";
import { NaiveTransformer } from "../../support/naive-transformer.ts";
import { openToy, toyBytes } from "../../support/toys.ts";
import { type FakeIo, fakeIo } from "./fakes.ts";

const folder = mkdtempSync(join(tmpdir(), "kvasir-compare-"));
afterAll(() => rmSync(folder, { recursive: true }));

const TEXT = "One lamp burned.\n\nTwo ships came in.\n\nThree men slept.";
const QUESTION = "Who slept?";
const file = join(folder, "text.txt");
writeFileSync(file, `${TEXT}\n`);

const open = compareCommand((source, options) =>
  load(source, { runtime: nodeRuntime, ...options }),
);
const ASK = [
  ...["--model", requireGolden("toys/toy-llama.gguf"), "--activations", "f32"],
  ...["--file", file, "--question", QUESTION, "--max-tokens", "6"],
];

async function run(args: string[], io: FakeIo = { ...fakeIo(), runtime: nodeRuntime }) {
  expect(await open.run([...ASK, ...args], io)).toBe(0);
  return io;
}

/** exp(x) / sum, in f64. */
function softmax(logits: ArrayLike<number>): number[] {
  const all = Array.from(logits);
  const most = Math.max(...all);
  const powers = all.map((x) => Math.exp(x - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((x) => x / sum);
}

describe("the numbers", () => {
  let model: LocalModel;
  beforeAll(async () => {
    model = await openToy("toy-llama");
  });
  afterAll(() => model.dispose());

  test.each(["snapkv", "adakv", "knorm"])(
    "%s: NMSE, KL and perplexity are those of a dense pass that sees only what was kept",
    async (method) => {
      const prompt = comparePrompt(model, TEXT, QUESTION, "blank-line");
      const options = { model, prompt, codec: "f32" } as const;
      const full = await runFull(options, 6);
      const spec = method === "knorm" ? method : { name: method, windowSize: 4 };
      const got = await runMethod(options, full, spec, { keep: 0.3 });

      const ids = [...prompt.tokens];
      const dense = await NaiveTransformer.open(toyBytes("toy-llama"));
      const want = dense.read(ids).at(-1) as Float64Array;
      const masked = await NaiveTransformer.open(toyBytes("toy-llama"));
      masked.read(ids.slice(0, -1));
      const kept = got.kept.map((heads) => heads.map((positions) => new Set(positions)));
      const isKept = (l: number, head: number, position: number): boolean =>
        position >= ids.length - 1 || kept[l]?.[head]?.has(position) === true;
      const logits = masked.read([ids.at(-1) ?? 0], isKept)[0] as Float64Array;

      const error = want.reduce((sum, x, i) => sum + (x - (logits[i] ?? 0)) ** 2, 0);
      const power = want.reduce((sum, x) => sum + x * x, 0);
      expect(got.nmse).toBeGreaterThan(0);
      expect(got.nmse / (error / power)).toBeCloseTo(1, 3);
      const [p, q] = [softmax(want), softmax(logits)];
      const kl = p.reduce((sum, x, i) => sum + x * Math.log(x / (q[i] ?? 0)), 0);
      expect(got.kl / kl).toBeCloseTo(1, 3);

      let now = logits;
      let surprise = 0;
      for (const token of full.answer) {
        surprise -= Math.log(softmax(now)[token] ?? 0);
        now = masked.read([token], isKept)[0] as Float64Array;
      }
      expect(got.perplexity / Math.exp(surprise / full.answer.length)).toBeCloseTo(1, 3);
    },
  );

  test("full: the greedy answer, and nothing is lost at keep 1", async () => {
    const prompt = comparePrompt(model, TEXT, QUESTION, "blank-line");
    const options = { model, prompt, codec: "f32" } as const;
    const full = await runFull(options, 6);
    const dense = await NaiveTransformer.open(toyBytes("toy-llama"));
    let logits = dense.read([...prompt.tokens]).at(-1) as Float64Array;
    for (const token of full.answer) {
      expect(logits.indexOf(Math.max(...logits))).toBe(token);
      logits = dense.read([token])[0] as Float64Array;
    }
    expect(full.keptRows).toBe(full.fullRows);
    const whole = await runMethod(options, full, "snapkv", { keep: 1 });
    expect(whole).toMatchObject({ nmse: 0, kl: 0, perplexity: full.perplexity });
  });

  test("methods that work in decode drop rows of the answer too", async () => {
    const prompt = comparePrompt(model, TEXT, QUESTION, "blank-line");
    const options = { model, prompt, codec: "f32" } as const;
    const full = await runFull(options, 6);
    const [once, always] = [
      await runMethod(options, full, { name: "tova", interval: 0 }, { keep: 0.2 }),
      await runMethod(options, full, "tova", { keep: 0.2 }),
    ];
    expect(always.kl).toBe(once.kl);
    expect(always.perplexity).not.toBe(once.perplexity);
  });

  test("segments: the text cut into shots, then the question, whatever the template adds", () => {
    const chatTemplate: ChatTemplate = { render: ([one]) => `<<${one?.content ?? ""}>>` };
    const { tokenizer } = model;
    const prompt = comparePrompt({ tokenizer, chatTemplate }, TEXT, QUESTION, "blank-line");
    const said = prompt.segments.map(({ kind, begin, end }) => [
      kind,
      prompt.pieces.slice(begin, end).join("").trim(),
    ]);
    expect(said.map(([kind]) => kind)).toEqual(["shot", "shot", "shot", "question"]);
    expect(said[1]?.[1]).toBe("Two ships came in.");
    expect(said[3]?.[1]).toContain(QUESTION);
  });
});

interface ComparisonJson {
  readonly prompt: { readonly segments: readonly unknown[] };
  readonly full: { readonly bytes: number };
  readonly runs: readonly {
    readonly method: string;
    readonly keep: number;
    readonly kept: number;
    readonly keptRows: number;
    readonly cacheBytes: number;
    readonly rowsPerLayer: readonly (readonly number[])[];
  }[];
}

describe("kvasir compare", () => {
  test("--json: one object with a run for each method and fraction", async () => {
    const methods = "snapkv:windowSize=4,kernelSize=3,streaming-llm,full";
    const io = await run(["--json", "--methods", methods, "--keep", "0.5,0.2"]);
    const json = JSON.parse(io.stdout()) as ComparisonJson;
    expect(json).toMatchObject({ engine: "wasm", activations: "f32", codec: "f32" });
    expect(json).toMatchObject({ question: QUESTION, answer: { tokens: expect.any(Array) } });
    expect(json.prompt.segments).toHaveLength(4);
    expect(json.runs.map((one) => [one.method, one.keep])).toEqual([
      ["snapkv:windowSize=4,kernelSize=3", 0.5],
      ["snapkv:windowSize=4,kernelSize=3", 0.2],
      ["streaming-llm", 0.5],
      ["streaming-llm", 0.2],
    ]);
    const first = json.runs[0]!;
    expect(Object.keys(first).sort()).toEqual(
      [
        ...["method", "keep", "cacheBytes", "keptRows", "kept", "nmse", "kl", "perplexity"],
        ...["promptMs", "answerMs", "rowsPerLayer", "keptMass", "notes"],
      ].sort(),
    );
    expect(first.kept).toBeCloseTo(0.5, 1);
    expect(first.cacheBytes).toBeLessThan(json.full.bytes);
    expect(first.rowsPerLayer.flat().reduce((a, b) => a + b)).toBe(first.keptRows);
    expect(io.stderr()).toContain("compare: 5 of 5, streaming-llm, keep 0.2: ");
  });

  test("a table with the full cache first; what cannot run says why", async () => {
    const io = await run(["--methods", "all", "--keep", "0.5"]);
    const lines = io.stdout().split("\n");
    const titles = lines.findIndex((line) => line.startsWith("method "));
    expect(lines[titles]).toMatch(/keep +cache +kept +NMSE +KL +perplexity +prompt +per token$/);
    expect(lines[titles + 1]).toMatch(/^full +\S+ \S+ +100 % +\d/);
    expect(io.stdout()).toMatch(/^snapkv +0\.5 .*\d ms +\S+ ms$/m);
    expect(io.stdout()).not.toContain("refused");
    const sliding = ["--model", requireGolden("toys/toy-gemma3.gguf")];
    const refused = await run([...sliding, "--methods", "chunkkv:reuse=2", "--keep", "0.5"]);
    expect(refused.stdout()).toMatch(/^chunkkv:reuse=2 +0\.5 +refused$/m);
    expect(refused.stdout()).toContain("\nchunkkv:reuse=2 0.5: Cannot use method");
  });

  test("a method of one's own, and the page of kept tokens", async () => {
    const mine = join(folder, "mine.mjs");
    const library = new URL("../../../src/index.ts", import.meta.url).href;
    writeFileSync(
      mine,
      `import { compose, defineMethod, tokenTopK } from ${JSON.stringify(library)};
       const scorer = {
         needs: { prefill: [], decode: [] },
         score: ({ rows }) => ({
           perHead: Array.from(rows.length, (n) => Float32Array.from({ length: n }, (_, i) => -i)),
           nSink: 0,
           nRecent: 1,
         }),
       };
       export default defineMethod({ id: "oldest", create: () => compose({ scorer, selector: tokenTopK }) });`,
    );
    const html = join(folder, "kept.html");
    await run(["--methods", `${mine},recent-only`, "--keep", "0.5", "--html", html]);
    const page = readFileSync(html, "utf8");
    expect(page).not.toMatch(/(src|href)=|@import|url\(|https?:/);
    const [, text = ""] =
      /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page) ?? [];
    const data = JSON.parse(text) as PageData;
    expect(data.columns).toHaveLength(data.nTokens);
    expect(data.columns.map((one) => one.text).join("")).toContain(TEXT);
    const cells = data.methods.map((one) => one.runs[0]?.cells[0]);
    const nKept = Math.floor(data.nTokens / 2);
    const [all = "", none = ""] = [data.levels.at(-1), data.levels[0]];
    const rest = data.nTokens - nKept;
    expect(cells[0]).toBe(all.repeat(nKept - 1) + none.repeat(rest) + all);
    expect(cells[1]).toBe(none.repeat(rest) + all.repeat(nKept));
  });

  test.each([
    [["--keep", "0"]],
    [["--keep", "0.5,x"]],
    [["--methods", "full"]],
    [["--splitter", "word"]],
  ])("refuses %j before loading", async (args) => {
    await expect(open.run([...ASK, ...args], fakeIo())).rejects.toThrow(UsageError);
  });

  test("refuses an answer that the context has no room for, and unknown methods", async () => {
    const io = { ...fakeIo(), runtime: nodeRuntime };
    await expect(open.run([...ASK, "--max-tokens", "4096"], io)).rejects.toMatchObject({
      code: "bad-option",
    });
    const unknown = open.run([...ASK, "--methods", "nokv"], io);
    await expect(unknown).rejects.toMatchObject({ code: "not-found" });
  });

  test("Ctrl-C ends it", async () => {
    const io = { ...fakeIo(), runtime: nodeRuntime };
    io.controller.abort(new Error("interrupted"));
    await expect(open.run([...ASK, "--keep", "0.5"], io)).rejects.toMatchObject({
      code: "aborted",
    });
  });
});

describe("CompareProgress", () => {
  test("the time left is that of the runs so far", () => {
    let now = 0;
    const io = fakeIo();
    const progress = new CompareProgress(io, 4, () => now);
    progress.begin("full");
    now = 10_000;
    progress.end();
    progress.begin("snapkv");
    now = 30_000;
    progress.end();
    expect(io.stderr()).toBe(
      "compare: 1 of 4, full: 10.0 s, about 30 s left\n" +
        "compare: 2 of 4, snapkv: 20.0 s, about 30 s left\n",
    );
  });
});
