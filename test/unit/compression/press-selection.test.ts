// Allocators and selectors against kvpress: from its scores the same rows, at every ratio.
import { describe, expect, it } from "vitest";
import { ada } from "../../../src/compression/allocators/ada.ts";
import { pyramid } from "../../../src/compression/allocators/pyramid.ts";
import { uniform } from "../../../src/compression/allocators/uniform.ts";
import { planBudget } from "../../../src/compression/budget.ts";
import { type Composition, compose } from "../../../src/compression/compose.ts";
import { defineMethod } from "../../../src/compression/define-method.ts";
import { chunks } from "../../../src/compression/selectors/chunks.ts";
import { tokenTopK } from "../../../src/compression/selectors/token-top-k.ts";
import { createHostKernels } from "../../../src/engine/wasm/select-kernels.ts";
import {
  judgeChunks,
  judgePerHead,
  judgeShared,
  type LayerSets,
  type Verdict,
} from "../../../src/parity/kept-sets.ts";
import { budgetOf } from "../../../src/parity/presses.ts";
import { nodeRuntime } from "../../../src/runtime/node.ts";
import { goldenPath, readF32, readJson, readU16 } from "../../support/golden.ts";
import { keptRows, layerContext } from "../../support/layer-context.ts";

interface Entry {
  readonly kept: { readonly file: string };
  readonly counts: readonly (readonly number[])[];
  readonly scores?: { readonly file: string };
}
type Presses = Record<string, { readonly ratios: Record<string, Entry> }>;

const N_KV_HEADS = 3;
const exact = { absolute: 0, relative: 0 };

interface Case {
  readonly parts: Omit<Composition, "scorer">;
  /** Rows that kvpress forces by their scores. */
  readonly nRecent: number;
  readonly isShared?: boolean;
  judge(kept: LayerSets, golden: LayerSets, scores: readonly Float32Array[]): Verdict;
}

const perHead: Case["judge"] = (kept, golden, scores) => judgePerHead(kept, golden, scores, exact);
const shared: Case["judge"] = (kept, golden, scores) =>
  judgeShared(kept, golden, scores, exact, 0.2);
const safe = ada({ alpha: 0.2, guarantee: "safe" });

const cases: Readonly<Record<string, Case>> = {
  snapkv: { parts: { selector: tokenTopK }, nRecent: 16, judge: perHead },
  tova: { parts: { selector: tokenTopK }, nRecent: 1, isShared: true, judge: perHead },
  observed_attention: { parts: { selector: tokenTopK }, nRecent: 0, judge: perHead },
  pyramidkv: {
    parts: {
      selector: tokenTopK,
      allocator: pyramid({ windowSize: 8, beta: 4, form: "rounded" }),
    },
    nRecent: 8,
    judge: perHead,
  },
  pyramidkv_b20: {
    parts: {
      selector: tokenTopK,
      allocator: pyramid({ windowSize: 16, beta: 20, form: "rounded" }),
    },
    nRecent: 16,
    judge: perHead,
  },
  chunkkv_snapkv: {
    parts: { selector: chunks({ chunkSize: 10, fill: "kvpress", aggregation: "sum" }) },
    nRecent: 16,
    judge: (kept, golden, scores) => judgeChunks(kept, golden, scores, exact, 10),
  },
  adakv_snapkv: { parts: { selector: tokenTopK, allocator: safe }, nRecent: 16, judge: shared },
  adakv_expected_attention: {
    parts: { selector: tokenTopK, allocator: safe },
    nRecent: 0,
    judge: shared,
  },
};

const folderOf = (prompt: string) => `smollm2/presses/${prompt}`;
const hasGoldens = goldenPath(`${folderOf("p300")}/presses.json`) !== undefined;

describe.skipIf(!hasGoldens).each(["p300", "p1000"])("from kvpress's scores, %s", (prompt) => {
  const folder = folderOf(prompt);
  const presses = readJson<Presses>(`${folder}/presses.json`);
  const nTokens = readJson<{ ids: number[] }>(`${folder}/index.json`).ids.length;
  const lengths = new Array<number>(N_KV_HEADS).fill(nTokens);

  it.each(
    Object.keys(cases).flatMap((name) =>
      ["0.5", "0.8", "0.9"].map((ratio) => [name, ratio] as const),
    ),
  )("%s with %s removed keeps the same rows", async (name, ratio) => {
    const kernels = createHostKernels(await nodeRuntime.loadKernels("simd128"));
    const { parts, nRecent, judge, isShared = false } = cases[name] as Case;
    const ratios = presses[name]?.ratios ?? {};
    const { kept, counts } = ratios[ratio] as Entry;
    const values = readF32(`${folder}/${ratios["0.8"]?.scores?.file ?? ""}`);
    const positions = readU16(`${folder}/${kept.file}`);
    const plan = planBudget({
      budget: budgetOf(counts, Number(ratio)),
      nRows: nTokens,
      nKvHeads: N_KV_HEADS,
      evicts: counts.map(() => true),
      minRows: 1,
      isShared: false,
      cost: { rowBytes: 1, headroom: 0, scratchBytes: 0, growthBytes: 0 },
      allocator: parts.allocator ?? uniform,
      kernels,
    });
    let begin = 0;
    for (const [layer, ofHeads] of counts.entries()) {
      const golden = ofHeads.map((n) => positions.subarray(begin, (begin += n)));
      const scores = lengths.map((n, head) => {
        const at = (layer * N_KV_HEADS + head) * n;
        return values.slice(at, at + n);
      });
      const scorer = {
        needs: { prefill: [], decode: [] },
        score: () => ({
          perHead: isShared ? scores.slice(0, 1) : scores.map((s) => s.slice()),
          nSink: 0,
          nRecent,
        }),
      };
      const method = defineMethod({
        id: "golden",
        create: () => compose({ ...parts, scorer }),
      }).create();
      const budget = [...(plan[layer] ?? [])];
      const double = layerContext({ nHeads: 3, nKvHeads: N_KV_HEADS, lengths, budget });
      const forced = double.forced.map(() => new Uint32Array(0));
      const rows = keptRows(method, { ...double, forced, kernels });
      const { nWrong, reason } = judge(rows, golden, scores);
      expect(`layer ${layer}: ${nWrong} ${reason}`).toBe(`layer ${layer}: 0 `);
    }
  });
});
