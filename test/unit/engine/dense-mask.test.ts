import { describe } from "vitest";
import { createReferenceEngine } from "../../../src/engine/reference/engine.ts";
import { denseMaskContract } from "../../contract/engine/dense-mask.ts";

describe("reference", () => {
  const engine = createReferenceEngine();
  denseMaskContract(() => engine);
});
