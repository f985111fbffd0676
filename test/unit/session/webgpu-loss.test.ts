// A real device is destroyed in the middle of an answer.
import { create } from "webgpu";
import { describe, expect, test } from "vitest";
import { load } from "../../../src/load.ts";
import { nodeRuntime } from "../../../src/runtime/node.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import type { SamplingOptions, Session } from "../../../src/types.ts";
import { syntheticLlama } from "../../support/toy-file.ts";

// One kind of matrix and few tokens: a device on the CPU takes a second or more for each shader.
const shape = { nLayers: 2, hiddenSize: 64, ffnSize: 128, nHeads: 2, nKvHeads: 1, headDim: 32 };
const file = syntheticLlama({ ...shape, contextLength: 64 });
const ids = [3, 141, 59, 26, 53];

/** A runtime that hands out `nDevices` devices and then none, and says which. */
function watchedRuntime(nDevices: number): { runtime: Runtime; devices: GPUDevice[] } {
  const devices: GPUDevice[] = [];
  const gpu = create([]);
  const requestAdapter = async (): Promise<GPUAdapter | null> => {
    const adapter = devices.length < nDevices ? await gpu.requestAdapter() : null;
    if (adapter === null) return null;
    const requestDevice = adapter.requestDevice.bind(adapter);
    adapter.requestDevice = async (descriptor) => {
      const device = await requestDevice(descriptor);
      devices.push(device);
      return device;
    };
    return adapter;
  };
  const watched = Object.assign(Object.create(gpu) as GPU, { requestAdapter });
  return { runtime: { ...nodeRuntime, gpu: async () => watched }, devices };
}

const N_TOKENS = 12;

async function tokensOf(
  session: Session,
  sampling: SamplingOptions,
  act: (n: number) => void,
): Promise<number[]> {
  const tokens: number[] = [];
  const options = { ...sampling, maxTokens: N_TOKENS, ignoreEos: true };
  for await (const event of session.generate({ tokens: ids }, options)) {
    if (event.type !== "token") continue;
    tokens.push(event.token);
    act(tokens.length);
  }
  return tokens;
}

/** What the reference engine says. */
async function expectedTokens(sampling: SamplingOptions): Promise<number[]> {
  const model = await load(file, { engine: "reference", runtime: nodeRuntime });
  const tokens = await tokensOf(model.session(), sampling, () => {});
  model.dispose();
  return tokens;
}

describe("a device that is destroyed after four tokens", () => {
  for (const [name, nDevices, engine, sampling] of [
    ["goes on, on another device", 2, "webgpu", {}],
    ["goes on, on another device that draws", 2, "webgpu", { temperature: 1, topK: 20, seed: 4 }],
    ["goes on, on the CPU where there is no other", 1, "wasm", {}],
  ] as const) {
    test(`${name}: the tokens of the reference`, async () => {
      const { runtime, devices } = watchedRuntime(nDevices);
      const model = await load(file, { engine: "webgpu", runtime });
      expect(model.engine).toMatchObject({ name: "webgpu", activations: "f32" });
      const [session, idle] = [model.session({ codec: "f32" }), model.session()];
      await idle.read({ tokens: ids });
      const tokens = await tokensOf(session, sampling, (n) => {
        if (n === 4) devices[0]?.destroy();
      });
      expect(tokens).toEqual(await expectedTokens(sampling));
      expect(devices).toHaveLength(nDevices);
      expect(model.engine).toMatchObject({ name: engine, activations: "f32" });
      // A session that stood still meanwhile finds out when it is asked.
      const again = await tokensOf(idle, sampling, () => {});
      expect(again).toHaveLength(N_TOKENS);
      model.dispose();
    }, 60_000);
  }
});
