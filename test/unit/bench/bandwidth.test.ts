import { expect, it } from "vitest";
import { readLoop } from "../../../bench/bandwidth.ts";

it("the read loop reads every vector once: its sum is that of a plain loop", () => {
  const { memory, sum } = readLoop(1);
  const words = new BigInt64Array(memory.buffer);
  for (let i = 0; i < words.length; i++) words[i] = BigInt(i * 7919 - 1000);
  const even = (begin: number, end: number): bigint =>
    words
      .slice(begin / 8, end / 8)
      .reduce((total, word, i) => (i % 2 === 0 ? total + word : total), 0n);
  expect(sum(0, memory.buffer.byteLength)).toBe(even(0, memory.buffer.byteLength));
  expect(sum(640, 1280)).toBe(even(640, 1280));
});
