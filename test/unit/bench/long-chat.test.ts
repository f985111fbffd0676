import { describe, expect, it } from "vitest";
import {
  BANDS,
  type Chat,
  checkCoherence,
  checkMemory,
  flatness,
  incoherence,
  LONG_CHAT,
  perplexity,
  perplexityOver,
} from "../../../bench/long-chat/bands.ts";
import type { Turn } from "../../../bench/long-chat/chat.ts";
import { cutPassages, passageOrder } from "../../../bench/long-chat/passages.ts";
import { longChatParts } from "../../../bench/long-chat/report.ts";
import type { Tokenizer } from "../../../src/tokenizer/tokenizer.ts";
import { fakeRecord, laneRecord } from "./fakes.ts";

const params = { nTokens: 200, nDecode: 16 };

const turns = (each: (turn: number) => Partial<Turn>, every = 1): Turn[] =>
  Array.from({ length: 50 / every }, (_, i) => {
    const turn = (i + 1) * every;
    const defaults = { bytes: 100, peakBytes: 200, fullBytes: 1000 * turn, nRows: 6, events: [] };
    return { turn, position: 200 * turn, ...defaults, nats: 300, nTokens: 100, ...each(turn) };
  });

const fresh: Chat = { name: "fresh", isBaseline: true, turns: turns(() => ({})) };
const chat = (each: (turn: number) => Partial<Turn>): Chat => ({
  name: "method",
  isBaseline: false,
  turns: turns(each),
});

describe("passages", () => {
  const words = { encode: (text: string) => Uint32Array.from(text.split(" ").keys()) };

  it("are whole sentences of enough tokens, without the rest", () => {
    const text = 'One two. Three\nfour five! "Six seven?" Eight nine ten.\n\nEleven.';
    const cut = cutPassages(text, 4, words as unknown as Tokenizer);
    expect(cut).toEqual(["One two. Three four five!", '"Six seven?" Eight nine ten.']);
  });

  it("come in another order each round, each once, and none again soon", () => {
    const order = passageOrder(15, 50);
    const rounds = [0, 15, 30].map((at) => order.slice(at, at + 15));
    const inOrder = Array.from({ length: 15 }, (_, i) => i);
    expect(rounds[0]).toEqual(inOrder);
    for (const round of rounds) expect([...round].sort((a, b) => a - b)).toEqual(inOrder);
    expect(new Set(rounds.map(String)).size).toBe(3);
    const distances = order.map((passage, i) => order.indexOf(passage, i + 1) - i);
    expect(Math.min(...distances.filter((distance) => distance > 0))).toBeGreaterThanOrEqual(8);
    expect(order).toHaveLength(50);
  });
});

describe("perplexity", () => {
  it("is of all tokens of the turns together", () => {
    const two = turns((turn) => (turn === 1 ? { nats: 0, nTokens: 300 } : {}));
    expect(perplexity(two, [1, 2])).toBeCloseTo(Math.exp(300 / 400), 12);
  });

  it("is compared in the turns that both chats have", () => {
    const base = { ...fresh, turns: turns((turn) => ({ nats: turn % 5 === 0 ? 200 : 900 })) };
    const some = { ...fresh, turns: turns(() => ({ nats: 200 }), 5) };
    for (const band of BANDS) expect(perplexityOver(some, base, band)).toBe(1);
  });
});

describe("checks", () => {
  it("pass where nothing grows", () => {
    expect(() =>
      checkMemory(
        chat(() => ({})),
        8192,
      ),
    ).not.toThrow();
    expect(flatness(chat((turn) => ({ bytes: turn < 10 ? turn : 100 })).turns, "bytes")).toBe(1);
  });

  it("refuse bytes that grow, at the end or at the peak, and a chat that is too short", () => {
    const grown = (turn: number): number => (turn > 40 ? 103 : 100);
    const late = chat((turn) => ({ bytes: grown(turn) }));
    expect(() => checkMemory(late, 8192)).toThrow("Cannot call method flat: bytes");
    const high = chat((turn) => ({ peakBytes: grown(turn) }));
    expect(() => checkMemory(high, 8192)).toThrow("Cannot call method flat: peakBytes");
    expect(() =>
      checkMemory(
        chat(() => ({})),
        10_000,
      ),
    ).toThrow("it ends at 10000 tokens");
  });

  it("refuse a chat that loses the thread, or is not a number", () => {
    expect(
      incoherence(
        chat(() => ({ nats: 309 })),
        fresh,
      ),
    ).toBeNull();
    expect(
      incoherence(
        chat((turn) => ({ nats: turn > 30 ? 312 : 290 })),
        fresh,
      ),
    ).toContain("31 to 50");
    expect(
      incoherence(
        chat(() => ({ nats: NaN })),
        fresh,
      ),
    ).toContain("1 to 10");
  });

  it("mark the lane and keep its numbers", () => {
    const lane = (own: Chat) => ({
      ...laneRecord({ case: LONG_CHAT, params }, [{}]),
      output: own as never,
    });
    const [, good, bad] = checkCoherence([
      lane(fresh),
      lane(chat(() => ({}))),
      lane(chat(() => ({ nats: 400 }))),
    ]);
    expect(good?.stopped).toBeNull();
    expect(bad?.stopped?.kind).toBe("wrong");
    expect(bad?.output).not.toBeNull();
  });
});

describe("the page's part", () => {
  it("shows each chat beside fresh contexts", () => {
    const events = (turn: number): Partial<Turn> => ({
      events: turn === 40 ? ["overflow", "prompt"] : ["prompt"],
      nats: 200,
    });
    const lanes = [fresh, chat(events)].map((own) => ({
      ...laneRecord({ case: LONG_CHAT, params }, [{}]),
      output: own as never,
    }));
    const { [LONG_CHAT]: part = "" } = longChatParts([fakeRecord({ what: LONG_CHAT, lanes })]);
    expect(part).toContain("20.1 (1.00)");
    expect(part).toContain("7.39 (0.37)");
    expect(part).toContain("50 prompt, 1 overflow");
    expect(longChatParts([])).toEqual({});
  });
});
