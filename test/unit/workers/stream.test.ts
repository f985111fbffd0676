// Streams between page and worker: credit, abort, early ends, turns, and workers that die.
import { describe, expect, it } from "vitest";
import { errorFromWire, errorToWire } from "../../../workers/errors-over-the-wire.ts";
import { KvasirError } from "../../../src/errors.ts";
import type { GenerateEvent, Session } from "../../../src/types.ts";
import { Outlet, pump } from "../../../workers/host/outlet.ts";
import { Turns } from "../../../workers/host/turns.ts";
import { requireGolden } from "../../support/golden.ts";
import { openToy } from "../../support/toys.ts";
import { createRig } from "./rig.ts";

const toyPath = requireGolden("toys/toy-llama.gguf");
const long = { maxTokens: 400, ignoreEos: true } as const;
const text = "One lamp burned. Two ships came in. ".repeat(4);

/** Lets everything that is under way come to rest. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe("pump", () => {
  async function* numbers(made: number[], signal?: AbortSignal): AsyncGenerator<number, string> {
    for (let i = 0; i < 100; i++) {
      if (signal?.aborted) throw new KvasirError("aborted", "Cannot count: aborted");
      made.push(i);
      yield i;
    }
    return "end";
  }

  it("makes no event without credit", async () => {
    const { port1, port2 } = new MessageChannel();
    const [made, seen] = [[] as number[], [] as unknown[]];
    port1.onmessage = ({ data }) => seen.push(data);
    const done = pump(numbers(made), new Outlet(port2), new Turns());
    await settle();
    expect(made).toEqual([]);
    port1.postMessage({ kind: "credit", n: 3 });
    await settle();
    expect(made).toEqual([0, 1, 2]);
    expect(seen).toEqual([0, 1, 2].map((event) => ({ kind: "event", event })));
    port1.postMessage({ kind: "credit", n: 1000 });
    await done;
    await settle();
    expect(seen.at(-1)).toEqual({ kind: "end", value: "end" });
    expect(seen.length).toBe(101);
    port1.close();
  });

  it("passes an abort on to events that nobody waits for", async () => {
    const { port1, port2 } = new MessageChannel();
    const seen: unknown[] = [];
    port1.onmessage = ({ data }) => seen.push(data);
    const outlet = new Outlet(port2);
    const done = pump(numbers([], outlet.signal), outlet, new Turns());
    port1.postMessage({ kind: "abort", reason: errorToWire("enough") });
    await done;
    await settle();
    expect(outlet.signal.reason).toBe("enough");
    expect(seen).toMatchObject([{ kind: "error", error: { code: "aborted" } }]);
    port1.close();
  });
});

describe("turns", () => {
  it("a long prompt and an answer go step by step, one of each", async () => {
    const model = await openToy("toy-llama", { engine: "wasm", activations: "q8" });
    const log: string[] = [];
    const ports: MessagePort[] = [];
    async function* logged(name: string, session: Session): AsyncGenerator<GenerateEvent> {
      for await (const event of session.generate(text.repeat(3), long)) {
        log.push(name === "prompt" ? event.type : name);
        if (log.length === 120) for (const port of ports) port.postMessage({ kind: "return" });
        yield event;
      }
    }
    const turns = new Turns();
    const run = async (name: string, session: Session): Promise<void> => {
      const { port1, port2 } = new MessageChannel();
      port1.postMessage({ kind: "credit", n: 80 });
      ports.push(port1);
      await pump(logged(name, session), new Outlet(port2), turns);
      port1.close();
    };
    // The second one's prompt is cut into chunks of 8 tokens, more than 30 a layer.
    await Promise.all([
      run("answer", model.session()),
      run("prompt", model.session({ chunkSize: 8 })),
    ]);
    model.dispose();
    const first = log.indexOf("prefill");
    const both = log.slice(first, Math.min(log.lastIndexOf("prefill"), log.lastIndexOf("answer")));
    expect(both.filter((name) => name === "answer").length).toBeGreaterThan(30);
    for (let i = 1; i < both.length; i++) expect(both[i]).not.toBe(both[i - 1]);
  });
});

describe("a stream", () => {
  it("runs at most 16 events ahead of its reader", async () => {
    const rig = createRig();
    const model = await rig.loadInWorker(toyPath);
    const session = await model.session();
    const events = session.generate({ tokens: [1, 2, 3] }, long);
    let nRead = 0;
    for (let event = await events.next(); nRead < 40; event = await events.next()) {
      nRead++;
      if (nRead % 10 !== 0) continue;
      expect(event.done).toBe(false);
      await settle();
      const { tokens } = await session.usage();
      expect(tokens.completion).toBeLessThanOrEqual(nRead + 16);
    }
    await events.return(undefined);
    await model.dispose();
  });

  it("ends with aborted and the signal's own reason, and the session goes on", async () => {
    const rig = createRig();
    const model = await rig.loadInWorker(toyPath);
    const session = await model.session();
    const controller = new AbortController();
    const reason = { why: "enough" };
    let nSeen = 0;
    const reading = (async () => {
      for await (const event of session.generate(text, { ...long, signal: controller.signal })) {
        expect(controller.signal.aborted).toBe(false);
        if (event.type === "token" && ++nSeen === 5) controller.abort(reason);
      }
    })();
    const failure: unknown = await reading.catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "aborted", message: "Cannot generate: aborted" });
    expect((failure as Error).cause).toBe(reason);
    expect(nSeen).toBe(5);
    const next = session.generate("again", { maxTokens: 1 });
    await expect(next.next()).resolves.toMatchObject({ done: false });
    await next.return(undefined);
    const late = session.generate("x", { signal: controller.signal });
    await expect(late.next()).rejects.toMatchObject({ code: "aborted", cause: reason });
    await model.dispose();
  });

  it("left early is over in the worker when return resolves", async () => {
    const rig = createRig();
    const model = await rig.loadInWorker(toyPath);
    const session = await model.session();
    for (let i = 0; i < 10; i++) {
      for await (const event of session.generate("x", long)) if (event.type === "token") break;
      await session.reset(); // busy, were it not over
    }
    await model.dispose();
  });

  it("of a second answer at once says busy, and the first goes on", async () => {
    const rig = createRig();
    const model = await rig.loadInWorker(toyPath);
    const session = await model.session();
    const first = session.generate("x", long);
    await first.next();
    await expect(session.generate("y").next()).rejects.toMatchObject({ code: "busy" });
    await expect(first.next()).resolves.toMatchObject({ done: false });
    await first.return(undefined);
    await model.dispose();
  });

  it("ends with disposed when session or model are", async () => {
    const rig = createRig();
    const model = await rig.loadInWorker(toyPath);
    const ends: Promise<unknown>[] = [];
    for (const whose of ["session", "model"] as const) {
      const session = await model.session();
      const events = session.generate("x", { maxTokens: 1_000_000, ignoreEos: true });
      await events.next();
      const reading = (async () => {
        for await (const event of events) void event;
      })();
      ends.push(reading.catch((error: unknown) => error));
      await (whose === "session" ? session : model).dispose();
    }
    for (const end of ends) expect(await end).toMatchObject({ code: "disposed" });
  });

  it("ends with disposed also for a reader that comes late", async () => {
    const model = await createRig().loadInWorker(toyPath);
    const events = (await model.session()).generate("x", long);
    await events.next();
    await settle(); // events lie ready
    await model.dispose();
    await settle();
    await expect(events.next()).rejects.toMatchObject({ code: "disposed" });
    await model.dispose();
  });
});

describe("a worker that dies", () => {
  it("ends streams and calls with worker-lost", async () => {
    const rig = createRig();
    const model = await rig.loadInWorker(toyPath);
    const session = await model.session();
    const events = session.generate("x", { maxTokens: 1_000_000, ignoreEos: true });
    await events.next();
    const call = session.usage();
    rig.kill("a fire");
    const lost = { code: "worker-lost", message: expect.stringContaining("a fire") };
    await expect(call).rejects.toMatchObject(lost);
    const reading = (async () => {
      for await (const event of events) void event;
    })();
    await expect(reading).rejects.toMatchObject(lost);
    await expect(model.session()).rejects.toMatchObject(lost);
    await model.dispose();
    expect(rig.nAlive()).toBe(0);
  });

  it("before it answered fails the load", async () => {
    const { port1, port2 } = new MessageChannel();
    const rig = createRig({
      spawn: () => ({
        endpoint: port1,
        onFailure: (callback) => void setTimeout(callback, 5, "no such file"),
        terminate: () => port2.close(),
      }),
    });
    const loading = rig.loadInWorker(toyPath);
    await expect(loading).rejects.toMatchObject({
      code: "worker-lost",
      message: expect.stringContaining("no such file"),
    });
  });
});

describe("errors over the wire", () => {
  const there = (error: unknown): unknown => errorFromWire(structuredClone(errorToWire(error)));

  it("keep all that tells them apart", () => {
    const inner = new TypeError("inner");
    const error = new KvasirError("network", "Cannot load: cut", { cause: inner });
    const copy = there(error) as KvasirError;
    expect(copy).toBeInstanceOf(KvasirError);
    expect(copy).toMatchObject({ code: "network", message: error.message, stack: error.stack });
    expect(copy.cause).toMatchObject({ name: "TypeError", message: "inner" });
    expect((there(inner) as Error).name).toBe("TypeError");
    expect(there(inner)).not.toHaveProperty("code");
  });

  it("take anything that can be thrown, rings of causes and functions included", () => {
    expect(there("a reason")).toBe("a reason");
    expect(there(undefined)).toBe(undefined);
    expect(there({ a: [1] })).toEqual({ a: [1] });
    expect(there(() => 1)).toBe("() => 1");
    const ring = new Error("ring");
    ring.cause = ring;
    expect(there(ring)).toMatchObject({ message: "ring", cause: { message: "ring" } });
  });
});
