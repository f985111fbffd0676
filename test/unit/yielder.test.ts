import { describe, expect, it } from "vitest";
import { taskMaker, type TaskScope, Yielder } from "../../src/timing/yielder.ts";

const { setTimeout, setImmediate } = globalThis;
const timer = { setTimeout: (callback: () => void) => setTimeout(callback) };
const SCOPES: Readonly<Record<string, TaskScope>> = {
  setImmediate: { ...timer, setImmediate, MessageChannel },
  messages: { ...timer, MessageChannel },
  timers: timer,
};

describe.each(Object.keys(SCOPES))("a task of %s", (name) => {
  const nextTask = taskMaker(SCOPES[name]!);

  it("comes after messages and timers that wait, also when one follows the other at once", async () => {
    const { port1, port2 } = new MessageChannel();
    let [isTold, isTimed] = [false, false];
    port1.onmessage = () => (isTold = true);
    port2.postMessage(null);
    setTimeout(() => (isTimed = true), 1);
    for (let i = 0; i < 1e6 && !(isTold && isTimed); i++) await nextTask();
    expect([isTold, isTimed]).toEqual([true, true]);
    port1.close();
  });

  it("is no microtask, and each that was asked for comes, in order", async () => {
    const order: number[] = [];
    const tasks = [1, 2, 3].map((n) => nextTask().then(() => order.push(n)));
    for (let i = 0; i < 100; i++) await Promise.resolve();
    expect(order).toEqual([]);
    await Promise.all(tasks);
    expect(order).toEqual([1, 2, 3]);
  });
});

describe("Yielder", () => {
  it("lets a timer through while something computes", async () => {
    let isTimed = false;
    setTimeout(() => (isTimed = true), 1);
    const yielder = new Yielder();
    const started = performance.now();
    while (!isTimed && performance.now() - started < 10_000) await yielder.pause();
    expect(isTimed).toBe(true);
  });
});
