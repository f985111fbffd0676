import { describe, expect, it } from "vitest";
import { AllocationLog } from "../../../bench/probes/allocation-log.ts";
import { DispatchCount } from "../../../bench/probes/dispatch-count.ts";
import { createReferenceEngine } from "../../../src/engine/reference/engine.ts";
import type { LocalModel } from "../../../src/session/local-model.ts";

describe("AllocationLog", () => {
  it("tells rows and activations apart at the peak of both", () => {
    const engine = createReferenceEngine();
    engine.alloc(1000, "before"); // is not counted
    const log = new AllocationLog(engine);
    const keys = engine.alloc(64, "cache.0.keys");
    const qkv = engine.alloc(32, "qkv");
    engine.free(qkv);
    engine.alloc(16, "cache.1.keys");
    expect(log.peak).toMatchObject({ cacheBytes: 64, activationBytes: 32 });
    engine.free(keys);
    engine.alloc(200, "logits");
    log.stop();
    expect(log.peak).toMatchObject({ cacheBytes: 16, activationBytes: 200 });
    engine.alloc(5000, "later");
    expect(log.peak.activationBytes).toBe(200);
  });
});

describe("DispatchCount", () => {
  it("is the dispatches from one step's beginning to the next one's", () => {
    const engine = { nDispatches: 0 };
    const work = (n: number): void => void (engine.nDispatches += n);
    const transformer = { engine, embed: (..._: unknown[]): void => work(1) };
    const count = new DispatchCount({ parts: { transformer } } as unknown as LocalModel);
    const step = (nTokens: number, more: number): void => {
      transformer.embed(null, null, nTokens);
      work(more);
    };
    step(64, 900); // the prompt
    step(1, 30);
    step(1, 30);
    step(1, 45); // more of them where a cache grows
    step(1, 30);
    count.stop();
    step(1, 7);
    step(1, 7);
    expect(count.perStep).toBe(31);
  });
});
