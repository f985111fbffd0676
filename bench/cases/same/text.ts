// The same answer whatever computes it: one greedy text on the GPU and on the CPU, in every runtime.
import { answer } from "../../answer.ts";
import { sha256Hex } from "./hash.ts";
import { checkGreedy, type ReplaySpec } from "../../replay.ts";
import { type BenchCase, sameTokens } from "../case.ts";

const PROMPT =
  "The raven is a large black bird that lives in the north. It is known for its deep call and for " +
  "how well it solves problems. Ravens eat almost anything that they can find. In old stories they";
const N_TOKENS = 64;
const SPEC: ReplaySpec = { method: "full", codec: "f16" };
const ENGINES = ["wasm", "webgpu"] as const;

export const text: BenchCase = {
  name: "text",
  measures: "the hash of one greedy answer, on wasm and on webgpu, activations f32, rows f16",
  metrics: {},
  isDeterministic: true,
  variants: () =>
    ENGINES.map((engine) => ({
      name: engine,
      params: { nTokens: 0, nDecode: N_TOKENS },
      settings: { engine, activations: "f32" as const },
    })),
  async expect(bench, { nDecode }) {
    const prompt = bench.model.tokenizer.encode(PROMPT);
    const { tokens } = await answer(bench, prompt, nDecode, SPEC);
    await checkGreedy(bench, prompt, tokens, SPEC);
    return [...tokens];
  },
  async measure(bench, { nDecode }, expected) {
    const { tokenizer } = bench.model;
    const prompt = tokenizer.encode(PROMPT);
    const { tokens } = await answer(bench, prompt, nDecode, SPEC);
    sameTokens("the answer", tokens, expected);
    const said = tokenizer.decode(Uint32Array.from(tokens));
    const hash = await sha256Hex(new TextEncoder().encode(said));
    return { metrics: {}, output: { hash, text: said, tokens: [...tokens] } };
  },
};
