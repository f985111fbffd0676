import { describe, expect, test } from "vitest";
import { createWasmEngine } from "../../../src/engine/wasm/create.ts";
import { rowByteLength, TENSOR_TYPES, type TensorTypeName } from "../../../src/gguf/tensor-type.ts";
import { nodeRuntime } from "../../../src/runtime/node.ts";

const module = await nodeRuntime.loadKernels("simd128");
const MAX_RATIO = 1.15;
/** [nRows, nCols]; 576 columns are no whole number of 256-weight blocks. */
const SHAPES = [
  [576, 1536],
  [1536, 576],
  [640, 2048],
  [2048, 640],
  [1, 256],
  [7, 768],
] as const;

describe.each(["q8", "f32"] as const)("wasm %s", (activations) => {
  const engine = createWasmEngine({ module, activations });
  const names = Object.keys(TENSOR_TYPES) as TensorTypeName[];

  test.each(names)(
    `%s: at most ${MAX_RATIO} of the file's bytes where rows fill panels`,
    (name) => {
      const type = TENSOR_TYPES[name];
      const fitting = SHAPES.filter(([nRows, nCols]) => nCols % type.blockSize === 0 && nRows > 7);
      expect(fitting.length).toBeGreaterThan(1);
      for (const [nRows, nCols] of fitting) {
        const fileBytes = nRows * rowByteLength(type, nCols);
        const ratio = engine.weightByteLength(name, nRows, nCols) / fileBytes;
        expect(ratio, `${nRows} x ${nCols}`).toBeLessThanOrEqual(MAX_RATIO);
      }
    },
  );

  test.each(names)("%s: what is announced is what createWeight takes", (name) => {
    for (const [nRows, nCols] of SHAPES) {
      if (nCols % TENSOR_TYPES[name].blockSize !== 0) continue;
      const before = engine.memory().bytes;
      const weight = engine.createWeight("w", name, nRows, nCols);
      const announced = engine.weightByteLength(name, nRows, nCols);
      expect(weight.byteLength).toBe(announced);
      expect(engine.memory().bytes - before).toBe(announced);
      engine.freeWeight(weight);
    }
  });
});
