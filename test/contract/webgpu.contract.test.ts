import { afterAll, beforeAll, describe } from "vitest";
import { createReferenceEngine } from "../../src/engine/reference/engine.ts";
import { testGpu, webGpuEngine } from "../support/webgpu.ts";
import { bufferContract } from "./engine/buffers.ts";
import { deviceErrorContract } from "./engine/device-errors.ts";
import { projectionContract } from "./engine/projections.ts";
import { F32_TOLERANCES, type Engines } from "./rig.ts";

let engines: Engines;
beforeAll(async () => {
  const oracle = createReferenceEngine();
  engines = { engine: await webGpuEngine(), oracle, exact: oracle };
});
afterAll(() => engines.engine.dispose());
describe("webgpu: errors of the device", () => deviceErrorContract(() => testGpu));
describe("webgpu: memory", () => bufferContract(() => engines));
describe("webgpu: projections", () => projectionContract(() => engines, F32_TOLERANCES));
