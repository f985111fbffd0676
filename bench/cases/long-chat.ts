// A chat that goes on past the model's context: memory stays flat, and the text stays as probable as
// context makes it. Nothing is timed: every chat is a lane, and all of them run at once.
import { Conversation } from "../../src/session/conversation.ts";
import { logProbability } from "../../src/parity/metrics.ts";
import type { SessionOptions } from "../../src/types.ts";
import type { Json } from "../job.ts";
import {
  BUDGET,
  type Chat,
  checkMemory,
  LONG_CHAT,
  N_TURNS,
  perplexity,
} from "../long-chat/bands.ts";
import { chatOn, type Chatting, freshChats, type Turn } from "../long-chat/chat.ts";
import { turnTokens, windowChat } from "../long-chat/chat.ts";
import { Listener } from "../long-chat/listener.ts";
import { cutPassages, passageOrder } from "../long-chat/passages.ts";
import { replay } from "../replay.ts";
import { type Bench, type BenchCase, check } from "./case.ts";

const N_PASSAGE = 200;
const N_ANSWER = 16;
/** The window is read for each of these turns only: it takes four times as long. */
const WINDOW_EVERY = 5;
/** Nats per token: the same passage by another path, whose chunks are others. */
const MAX_DIFFERENCE = 1e-3;

type Talk = (chatting: Chatting) => Promise<Turn[]>;

const compressed = (method: NonNullable<SessionOptions["method"]>): Talk => {
  const options: SessionOptions = { method, budget: { tokens: BUDGET }, turnPolicy: "each" };
  return (chatting) => chatOn(chatting, options);
};

const baselines = new Map<string, Talk>([
  ["fresh context for each passage", freshChats],
  [
    `last ${BUDGET} tokens read again, every ${WINDOW_EVERY}th turn`,
    (chatting) => windowChat(chatting, BUDGET, WINDOW_EVERY),
  ],
]);

const methods = new Map<string, Talk>([
  [
    "streaming-llm, positions in the cache",
    compressed({ name: "streaming-llm", positions: "cache" }),
  ],
  ["snapkv", compressed("snapkv")],
]);

export const longChat: BenchCase = {
  name: LONG_CHAT,
  measures: "a chat past the model's context at flat memory: bytes, events, perplexity (minutes)",
  metrics: {},
  isDeterministic: true,
  variants: () =>
    [...baselines.keys(), ...methods.keys()].map((name) => ({
      name,
      params: { nTokens: N_PASSAGE, nDecode: N_ANSWER, budgetTokens: BUDGET, method: name },
    })),
  /** Of the first passage, nats per token. */
  async expect(bench, { nTokens }) {
    const { model } = bench;
    const [passage = ""] = passagesOf(bench, nTokens);
    const said = new Conversation(model.tokenizer, model.chatTemplate);
    const { tokens, begin, end } = turnTokens(model, said, passage, true);
    const given = tokens.slice(begin, end);
    let nats = 0;
    await replay(model, tokens.slice(0, begin), given, { method: "full" }, (step, logits) => {
      const token = given[step];
      if (token !== undefined) nats -= logProbability(logits, token);
    });
    return nats / given.length;
  },
  async measure(bench, { nTokens, nDecode, method: name = "" }, expected) {
    const { model } = bench;
    const all = passagesOf(bench, nTokens);
    const passages = passageOrder(all.length, N_TURNS).map((i) => all[i] ?? "");
    const talk = baselines.get(name) ?? methods.get(name);
    check(talk !== undefined, `Cannot find chat "${name}"`);
    const listener = new Listener(model);
    try {
      const chatting = { model, listener, passages, nAnswer: nDecode, say: progress(name) };
      const isBaseline = baselines.has(name);
      const chat: Chat = { name, isBaseline, turns: await talk(chatting) };
      checkFirst(chat, Number(expected));
      if (!isBaseline) checkMemory(chat, model.config.contextLength);
      return { metrics: {}, output: chat as unknown as Json };
    } finally {
      listener.dispose();
    }
  },
};

function passagesOf({ settings, model }: Bench, nTokens: number): string[] {
  const { text } = settings;
  check(text !== null, "Cannot chat about words: give a text");
  return cutPassages(text.text, nTokens, model.tokenizer);
}

/** Nothing was dropped yet, nor read before: chats begin alike. */
function checkFirst({ name, turns }: Chat, expected: number): void {
  if (turns[0]?.turn !== 1) return;
  const nats = Math.log(perplexity(turns, [1, 1]));
  const isRight = Math.abs(nats - expected) <= MAX_DIFFERENCE;
  check(isRight, `Cannot trust ${name}: expected ${expected} nats per token, got ${nats}`);
}

/** It takes minutes: a line for every turn. */
function progress(name: string): (turn: Turn) => void {
  return ({ turn, position, bytes, peakBytes, nRows, events, nats, nTokens }) => {
    const each = Math.exp(nats / nTokens).toFixed(2);
    console.error(
      `${name}, turn ${turn}: ${position} tokens, ${nRows} rows, ${bytes} bytes ` +
        `(peak ${peakBytes}), perplexity ${each} ${events.join(" ")}`,
    );
  };
}
