import { afterAll, beforeAll, describe } from "vitest";
import { createReferenceEngine } from "../../src/engine/reference/engine.ts";
import { webGpuEngine } from "../support/webgpu.ts";
import { attentionContract } from "./engine/attention.ts";
import { denseMaskContract } from "./engine/dense-mask.ts";
import { measureContract } from "./engine/measure.ts";
import { rowsContract } from "./engine/rows.ts";
import { stepContract } from "./engine/steps.ts";
import { F32_TOLERANCES, type Engines } from "./rig.ts";

let engines: Engines;
beforeAll(async () => {
  const oracle = createReferenceEngine();
  engines = { engine: await webGpuEngine(), oracle, exact: oracle };
});
afterAll(() => engines.engine.dispose());
describe("webgpu: rows", () => rowsContract(() => engines, F32_TOLERANCES));
describe("webgpu: steps", () => stepContract(() => engines, F32_TOLERANCES));
describe("webgpu: measure", () => measureContract(() => engines));
describe("webgpu: mask", () => denseMaskContract(() => engines.engine));
describe("webgpu: attention", () => attentionContract(() => engines, F32_TOLERANCES));
