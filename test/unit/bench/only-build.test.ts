import { describe, expect, it } from "vitest";
import { onlyBuild } from "../../../bench/worker.ts";
import { createEngine } from "../../../src/engine/create-engine.ts";
import { nodeRuntime } from "../../../src/runtime/node.ts";

describe("onlyBuild", () => {
  it("leaves the engine no other kernels", async () => {
    const runtime = onlyBuild(nodeRuntime, "simd128");
    const created = await createEngine({ engine: "wasm", runtime });
    expect(created?.build).toBe("simd128");
    created?.engine.dispose();
    await expect(runtime.loadKernels("relaxed")).rejects.toMatchObject({ code: "unavailable" });
    await expect(runtime.loadKernels("relaxed-threads")).rejects.toMatchObject({
      code: "unavailable",
    });
    await expect(runtime.loadKernels("simd128-threads")).resolves.toBeInstanceOf(
      WebAssembly.Module,
    );
  });

  it("refuses where that build cannot run", async () => {
    const runtime = onlyBuild({ ...nodeRuntime, loadKernels: nodeRuntime.loadKernels }, "relaxed");
    // Whether relaxed SIMD is there is the platform's matter; that nothing else is taken is ours.
    const created = await createEngine({ engine: "wasm", runtime }).catch(
      (error: unknown) => error,
    );
    const isRelaxed = typeof created === "object" && created !== null && "build" in created;
    if (isRelaxed) expect(created.build).toBe("relaxed");
    else expect(created).toMatchObject({ code: "unavailable" });
  });
});
