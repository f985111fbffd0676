// To a GPU and back: the text is transformers' own, and a file that only passed through is the same.
import { afterAll, beforeAll, expect, test } from "vitest";
import type { LocalModel } from "../../../src/session/local-model.ts";
import type { Session } from "../../../src/types.ts";
import { answer } from "../../support/sessions.ts";
import { openToy, REFERENCE, toyGolden, WASM_F32 } from "../../support/toys.ts";

const { ids, greedy } = toyGolden("toy-gemma3");
const last = { tokens: ids.slice(-1) };
const whole = { method: "full", codec: "f32" } as const;
/** A driver that computes on the CPU compiles for a while. */
const TIMEOUT_MS = 180_000;

let gpu: LocalModel;
beforeAll(async () => {
  gpu = await openToy("toy-gemma3", { engine: "webgpu", activations: "f32" });
}, TIMEOUT_MS);
afterAll(() => gpu.dispose());

const bytesOf = async (session: Session): Promise<Uint8Array> =>
  new Uint8Array(await (await session.save()).arrayBuffer());

test(
  "from wasm, to reference, and in a fork",
  async () => {
    const [wasm, reference] = [
      await openToy("toy-gemma3", WASM_F32),
      await openToy("toy-gemma3", REFERENCE),
    ];
    const session = wasm.session(whole);
    await session.read({ tokens: ids.slice(0, -1) });
    const file = await bytesOf(session);
    const onGpu = await gpu.restore(file);
    expect(await bytesOf(onGpu)).toEqual(file);
    const fork = onGpu.fork();
    const six = { maxTokens: 6, ignoreEos: true };
    for (const one of [onGpu, fork]) {
      expect((await answer(one, last, six)).ids).toEqual(greedy.tokens.slice(0, 6));
    }

    const read = gpu.session(whole);
    await read.read({ tokens: ids.slice(0, -1) });
    const back = await reference.restore(await bytesOf(read));
    const { ids: told } = await answer(back, last, { maxTokens: greedy.tokens.length });
    expect(told).toEqual(greedy.tokens);
    for (const model of [wasm, reference]) model.dispose();
  },
  TIMEOUT_MS,
);
