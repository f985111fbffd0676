// The WebGPU suite by the programs that have WebGPU: in Deno (wgpu) every op and the goldens, in Node (Dawn)
// the goldens, as its contract's tests run one by one elsewhere. No adapter is a failure.
import { afterAll, beforeAll, expect, it } from "vitest";
import { requireModel } from "../support/models.ts";
import { expectPassed, expectWhole, makeSuite, runProgram, suiteNames } from "../support/stacks.ts";

const TIMEOUT_MS = 1_500_000;

let suite: Awaited<ReturnType<typeof makeSuite>>;
beforeAll(async () => {
  suite = await makeSuite();
});
afterAll(() => suite.remove());

it("Deno: every op, the dense mask, the toys and SmolLM2", { timeout: TIMEOUT_MS }, async () => {
  const options = ["--quick", "--model", requireModel("smollm2")];
  const names = await suiteNames(suite.folder, options);
  expectWhole(names);
  expectPassed(await runProgram(suite.folder, "deno", options, TIMEOUT_MS), names);
});

it("Node: the toys and SmolLM2", { timeout: TIMEOUT_MS }, async () => {
  const model = requireModel("smollm2");
  const options = ["--quick", "--only", "^(toys|SmolLM2), ", "--model", model];
  const names = await suiteNames(suite.folder, options);
  expect(names.length).toBe(6);
  expectPassed(await runProgram(suite.folder, "node", options, TIMEOUT_MS), names);
});
