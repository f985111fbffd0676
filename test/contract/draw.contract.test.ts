import { afterAll, beforeAll, describe } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { createReferenceEngine } from "../../src/engine/reference/engine.ts";
import { webGpuEngine } from "../support/webgpu.ts";
import { drawContract } from "./engine/draw.ts";

describe("reference", () => drawContract(() => createReferenceEngine()));

describe("webgpu", () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await webGpuEngine();
  });
  afterAll(() => engine.dispose());
  drawContract(() => engine);
});
