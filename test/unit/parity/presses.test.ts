import { describe, expect, test } from "vitest";
import { budgetOf, mapPress } from "../../../src/parity/presses.ts";

const SNAPKV = { class: "SnapKVPress", window_size: 16, kernel_size: 5 };

describe("mapPress", () => {
  test("names and parameters in kvasir's words", () => {
    expect(mapPress(SNAPKV).method).toEqual({ name: "snapkv", windowSize: 16, kernelSize: 5 });
    expect(mapPress({ class: "StreamingLLMPress", n_sink: 4 })).toMatchObject({
      method: { name: "streaming-llm", nSink: 4 },
      rule: { kind: "equal" },
    });
  });

  test("a press around another keeps the inner one as its scorer", () => {
    const params = { class: "AdaKVPress", press: SNAPKV, alpha_safeguard: 0.3 };
    expect(mapPress(params)).toEqual({
      method: {
        name: "adakv",
        scorer: "snapkv",
        windowSize: 16,
        kernelSize: 5,
        alpha: 0.3,
        guarantee: "safe",
      },
      rule: { kind: "shared", alpha: 0.3 },
      noise: mapPress(SNAPKV).noise,
      scoresAreOfRatio: false,
      tiesAtCuts: false,
    });
    expect(mapPress({ class: "ChunkPress", press: SNAPKV, chunk_length: 64 }).rule).toEqual({
      kind: "per-head",
      chunkLength: 64,
    });
    // What kvpress's own KnormPress fixes is not a parameter of the scorer.
    const knorm = { class: "KnormPress" };
    expect(mapPress(knorm).method).toEqual({ name: "knorm", skipLayers: 0 });
    expect(mapPress({ class: "ChunkPress", press: knorm, chunk_length: 8 }).method).toEqual({
      name: "chunked",
      scorer: "knorm",
      chunkLength: 8,
    });
    const critical = mapPress({ class: "CriticalKVPress", press: SNAPKV, epsilon: 1e-4 });
    expect(critical).toMatchObject({
      scoresAreOfRatio: true,
      noise: { absolute: 1.1e-5, relative: 0 },
    });
  });

  test("parameters that no press has make methods what kvpress does", () => {
    expect(mapPress({ class: "TOVAPress" }).method).toEqual({ name: "tova", interval: 0 });
    expect(mapPress({ class: "ObservedAttentionPress" }).method).toEqual({
      name: "h2o",
      recentShare: 0,
      isPerQuery: true,
      interval: 0,
    });
    const pyramid = { ...SNAPKV, class: "PyramidKVPress", beta: 4 };
    expect(mapPress(pyramid).method).toMatchObject({ name: "pyramidkv", beta: 4, form: "rounded" });
    const chunked = { class: "ChunkKVPress", press: SNAPKV, chunk_length: 10 };
    expect(mapPress(chunked).method).toMatchObject({ chunkSize: 10, fill: "kvpress" });
  });

  test("a class that is not known has no method", () => {
    expect(mapPress({ class: "NovelPress" }).method).toBe(undefined);
    expect(mapPress({ class: "constructor" }).method).toBe(undefined);
    expect(mapPress({ class: "AdaKVPress", press: { class: "NovelPress" } }).method).toBe(
      undefined,
    );
  });
});

test("budgetOf: tokens where all layers hold the same mean, else the fraction", () => {
  expect(
    budgetOf(
      [
        [3, 3],
        [3, 3],
      ],
      0.4,
    ),
  ).toEqual({ tokens: 3 });
  expect(
    budgetOf(
      [
        [1, 5],
        [4, 2],
      ],
      0.4,
    ),
  ).toEqual({ tokens: 3 });
  expect(
    budgetOf(
      [
        [2, 2],
        [4, 4],
      ],
      0.5,
    ),
  ).toEqual({ keep: 0.5 });
  expect(
    budgetOf(
      [
        [2, 3],
        [2, 3],
      ],
      0.5,
    ),
  ).toEqual({ keep: 0.5 });
});
