// One model in one worker for several pages.
import { describe, expect, it } from "vitest";
import { nodeRuntime } from "../../../src/runtime/node.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import type { WorkerModel, WorkerSession } from "../../../workers/session-api.ts";
import { serveMany } from "../../../workers/host/serve.ts";
import { loadOnWorker, type WorkerPlatform } from "../../../workers/remote/load.ts";
import { requireGolden } from "../../support/golden.ts";

const URL_OF_TOY = "https://example.org/toy.gguf";
const ask = { maxTokens: 20, ignoreEos: true } as const;

/** A shared worker and the pages that connect to it; loads wait for `open`. */
function createWorker() {
  let [nOpened, nClosed] = [0, 0];
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const runtime: Runtime = {
    ...{ name: "node", hardwareThreads: 1 },
    loadKernels: (build) => nodeRuntime.loadKernels(build),
    openByteSource: async (_, options) => {
      nOpened++;
      await gate;
      options?.signal?.throwIfAborted();
      return nodeRuntime.openByteSource(requireGolden("toys/toy-llama.gguf"));
    },
  };
  const connect = serveMany(runtime, { name: "kvasir test", close: () => nClosed++ });
  const platform: WorkerPlatform = {
    spawn: () => {
      throw new Error("Broken invariant: the model is shared");
    },
    connect: () => {
      const { port1, port2 } = new MessageChannel();
      connect(port2);
      return { endpoint: port1, onFailure: () => {}, terminate: () => port1.close() };
    },
    resolve: (place) => place,
    resolveModule: (place) => place,
  };
  return {
    load: (signal?: AbortSignal): Promise<WorkerModel> =>
      loadOnWorker(platform, URL_OF_TOY, { share: true, ...(signal && { signal }) }),
    platform,
    open,
    counts: () => ({ nOpened, nClosed }),
  };
}

async function tokensOf(session: WorkerSession): Promise<number[]> {
  const tokens: number[] = [];
  for await (const event of session.generate("One lamp", ask)) {
    if (event.type === "token") tokens.push(event.token);
  }
  return tokens;
}

describe("a shared worker", () => {
  it("loads once for pages that ask at once, and ends with the last", async () => {
    const worker = createWorker();
    const loading = [worker.load(), worker.load(), worker.load()];
    worker.open();
    const models = await Promise.all(loading);
    expect(worker.counts()).toEqual({ nOpened: 1, nClosed: 0 });
    const sessions = await Promise.all(models.map((model) => model.session()));
    const answers = await Promise.all(sessions.map(tokensOf));
    expect(answers[0]?.length).toBe(20);
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);

    const [first, second, third] = models as [WorkerModel, WorkerModel, WorkerModel];
    const before = (await first.memory()).bytes;
    await second.dispose();
    await third.dispose();
    // Their sessions went with them, the model did not.
    expect((await first.memory()).bytes).toBeLessThan(before);
    expect((await tokensOf(await first.session())).length).toBe(20);
    expect(worker.counts().nClosed).toBe(0);
    await first.dispose();
    await expect.poll(() => worker.counts().nClosed).toBe(1);
  });

  it("goes on loading when one of the pages gives up, and stops when all have", async () => {
    const worker = createWorker();
    const controller = new AbortController();
    const [given, kept] = [worker.load(controller.signal), worker.load()];
    const refused = given.catch((error: unknown) => error);
    while (worker.counts().nOpened === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    controller.abort("enough");
    expect(await refused).toMatchObject({ code: "aborted", cause: "enough" });
    worker.open();
    const model = await kept;
    expect((await tokensOf(await model.session())).length).toBe(20);
    await model.dispose();
    expect(worker.counts().nOpened).toBe(1);

    const other = createWorker();
    const again = other.load(AbortSignal.timeout(20)).catch((error: unknown) => error);
    expect(await again).toMatchObject({ code: "aborted" });
    other.open();
    // What was given up is not joined by who comes later.
    const later = await other.load();
    expect((await tokensOf(await later.session())).length).toBe(20);
    expect(other.counts().nOpened).toBe(2);
    await later.dispose();
  });

  it("is only for models that can be told to be the same", async () => {
    const { platform } = createWorker();
    const loading = loadOnWorker(platform, new Uint8Array(8), { share: true });
    await expect(loading).rejects.toMatchObject({ code: "unsupported-option" });
  });
});
