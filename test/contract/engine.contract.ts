// The contract of src/engine/engine.ts as a suite: every op of an engine against the reference.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { createReferenceEngine } from "../../src/engine/reference/engine.ts";
import { attentionContract } from "./engine/attention.ts";
import { bufferContract } from "./engine/buffers.ts";
import { chunkContract } from "./engine/chunks.ts";
import { denseMaskContract } from "./engine/dense-mask.ts";
import { measureContract } from "./engine/measure.ts";
import { projectionContract } from "./engine/projections.ts";
import { q8RowsContract } from "./engine/q8.ts";
import { rowsContract } from "./engine/rows.ts";
import { stepContract } from "./engine/steps.ts";
import { F32_TOLERANCES, type Engines, type Tolerances } from "./rig.ts";

/**
 * Registers the whole suite for one engine.
 *
 * @param create Called once; the engine is disposed at the end.
 * @param tolerances `F32_TOLERANCES` (default) or `Q8_TOLERANCES`, as the engine's `activations`.
 */
export function engineContract(
  name: string,
  create: () => Promise<Engine>,
  tolerances: Tolerances = F32_TOLERANCES,
): void {
  describe(`${name}: engine contract`, () => {
    const engines = useEngines(create, tolerances);
    it("activations: as asked", () => {
      expect(engines().engine.activations).toBe(tolerances.activations);
    });
    projectionContract(engines, tolerances);
    attentionContract(engines, tolerances);
    rowsContract(engines, tolerances);
    describe("steps", () => stepContract(engines, tolerances));
    registerInvariants(engines);
  });
}

/** The ops on rows of codec q8, for engines that have it. */
export function q8Contract(name: string, create: () => Promise<Engine>): void {
  describe(`${name}: rows of codec q8`, () => q8RowsContract(useEngines(create, F32_TOLERANCES)));
}

/** The part that compares an engine with nothing but itself and plain facts. */
export function engineInvariants(name: string, create: () => Promise<Engine>): void {
  describe(`${name}: engine invariants`, () =>
    registerInvariants(useEngines(create, F32_TOLERANCES)));
}

function registerInvariants(engines: () => Engines): void {
  describe("memory", () => bufferContract(engines));
  describe("chunks", () => chunkContract(engines));
  describe("measure", () => measureContract(engines));
  denseMaskContract(() => engines().engine);
}

function useEngines(create: () => Promise<Engine>, { f32Types }: Tolerances): () => Engines {
  let engines: Engines | null = null;
  beforeAll(async () => {
    const engine = await create();
    const oracle = createReferenceEngine({ activations: engine.activations, f32Types });
    engines = { engine, oracle, exact: createReferenceEngine() };
  });
  afterAll(() => {
    engines?.engine.dispose();
    engines = null;
  });
  return () => {
    if (!engines) throw new Error("The engine was not made");
    return engines;
  };
}
