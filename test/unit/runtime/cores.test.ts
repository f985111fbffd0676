import { describe, expect, it } from "vitest";
import { nodeRuntime } from "../../../src/runtime/node.ts";
import { guessCores, listedCores, quotaCores } from "../../../src/runtime/threads/cores.ts";

const processor = (n: number, socket: number, core: number): string =>
  `processor\t: ${n}\nphysical id\t: ${socket}\ncore id\t\t: ${core}\nflags\t\t: fpu sse\n`;

describe("cores", () => {
  it("listed: two threads of a core count once, cores of two sockets twice", () => {
    const list = [processor(0, 0, 0), processor(1, 0, 1), processor(2, 0, 0), processor(3, 1, 0)];
    expect(listedCores(list.join("\n"))).toBe(3);
    expect(listedCores("processor\t: 0\nBogoMIPS\t: 48.00\n")).toBe(null);
    expect(listedCores("")).toBe(null);
  });

  it("of a container: whole ones, at least one", () => {
    expect(quotaCores("250000 100000\n")).toBe(2);
    expect(quotaCores("50000 100000\n")).toBe(1);
    expect(quotaCores("max 100000\n")).toBe(null);
    expect(quotaCores("")).toBe(null);
  });

  it("guessed: half of the logical ones, but both of two", () => {
    expect([1, 2, 3, 4, 8, 16].map(guessCores)).toEqual([1, 2, 2, 2, 4, 8]);
  });

  it("of this machine: a whole number", () => {
    expect(nodeRuntime.hardwareThreads).toBeGreaterThanOrEqual(1);
    expect(Number.isInteger(nodeRuntime.hardwareThreads)).toBe(true);
  });
});
