// Chats of many turns over passages of a text: in one session, in a new one for each passage, and in
// a new one that reads the newest tokens of the chat again.
import { Conversation } from "../../src/session/conversation.ts";
import type { LocalModel } from "../../src/session/local-model.ts";
import type { GenerateInput, Session, SessionOptions } from "../../src/types.ts";
import { check } from "../cases/case.ts";
import type { Listener } from "./listener.ts";

export interface Turn {
  /** From 1. */
  readonly turn: number;
  /** Tokens of the chat so far, answers included. */
  readonly position: number;
  /** Of the cache, when the answer is there. */
  readonly bytes: number;
  readonly peakBytes: number;
  /** What a full cache of these tokens would hold. */
  readonly fullBytes: number;
  /** Rows of the longest head. */
  readonly nRows: number;
  /** Why rows were dropped, each time. */
  readonly events: readonly string[];
  /** Negative log-probability of the passage, nats, and its tokens. */
  readonly nats: number;
  readonly nTokens: number;
}

export interface Chatting {
  readonly model: LocalModel;
  readonly listener: Listener;
  readonly passages: readonly string[];
  readonly nAnswer: number;
  readonly say?: (turn: Turn) => void;
}

/** What a turn adds to a chat, and tokens [begin, end) of it that are the passage. */
export interface TurnTokens {
  readonly tokens: Uint32Array;
  readonly begin: number;
  readonly end: number;
}

const messagesOf = (content: string): [{ role: "user"; content: string }] => [
  { role: "user", content },
];

/** The tokens that a session will read for `passage` after what was said. */
export function turnTokens(
  { tokenizer }: Pick<LocalModel, "tokenizer">,
  said: Conversation,
  passage: string,
  isFirst: boolean,
): TurnTokens {
  const messages = messagesOf(passage);
  const tokens = said.tokensOf(messages, isFirst);
  const { text, contents } = said.contents(messages);
  const own = tokenizer.encode(passage);
  const encoded = (part: string): number => tokenizer.encode(part, { parseSpecial: true }).length;
  const nBos = tokens.length - encoded(text);
  const begin = nBos + encoded(text.slice(0, contents.at(-1)?.begin ?? 0));
  const end = begin + own.length;
  const isThere = begin > 0 && own.every((token, i) => tokens[begin + i] === token);
  check(isThere, "Cannot find a passage's tokens in the turn's");
  return { tokens, begin, end };
}

interface Answer {
  readonly tokens: readonly number[];
  readonly text: string;
  readonly events: readonly string[];
  /** Sampled tokens that the next turn reads first. */
  readonly nPending: number;
}

async function answerOf(session: Session, input: GenerateInput, nAnswer: number): Promise<Answer> {
  const tokens: number[] = [];
  const events: string[] = [];
  let [text, nPending] = ["", 0];
  for await (const event of session.generate(input, { maxTokens: nAnswer })) {
    if (event.type === "token") tokens.push(event.token);
    if (event.type === "compressed") events.push(event.reason);
    if (event.type === "done") [text, nPending] = [event.text, event.reason === "length" ? 1 : 0];
  }
  return { tokens, text, events, nPending };
}

/** All turns in one session, which compresses by itself. */
export async function chatOn(chatting: Chatting, options: SessionOptions): Promise<Turn[]> {
  const { model, listener, passages, nAnswer, say } = chatting;
  const said = new Conversation(model.tokenizer, model.chatTemplate);
  const session = model.session(options);
  const turns: Turn[] = [];
  try {
    let nPending = 0;
    for (const [i, passage] of passages.entries()) {
      const { tokens, begin, end } = turnTokens(model, said, passage, i === 0);
      const before = session.usage();
      listener.listen(before.position + nPending + begin, end - begin);
      const answer = await answerOf(session, messagesOf(passage), nAnswer);
      const nRead = session.usage().tokens.prompt - before.tokens.prompt;
      check(nRead === nPending + tokens.length, `Cannot trust turn ${i + 1}: read ${nRead} tokens`);
      nPending = answer.nPending;
      said.add(messagesOf(passage), answer.text);
      turns.push(await turnOf(chatting, session, answer, tokens.slice(begin, end), i + 1));
      say?.(turns.at(-1) as Turn);
    }
  } finally {
    session.dispose();
  }
  return turns;
}

/** Each passage in a session of its own; one that comes again is as it was. */
export async function freshChats({ passages, say, ...chatting }: Chatting): Promise<Turn[]> {
  const known = new Map<string, Turn>();
  const turns: Turn[] = [];
  for (const [i, passage] of passages.entries()) {
    const own = { ...chatting, passages: [passage], nAnswer: 1 };
    const fresh = known.get(passage) ?? (await chatOn(own, { method: "full" }))[0];
    if (fresh === undefined) continue;
    if (!known.has(passage)) say?.({ ...fresh, turn: i + 1 });
    known.set(passage, fresh);
    turns.push({ ...fresh, turn: i + 1 });
  }
  return turns;
}

/**
 * Every `every`-th turn in a session of its own that first reads the newest `nWindow` tokens of the
 * chat. So that turns can be left out, the answers in those are the ones to each passage alone.
 */
export async function windowChat(
  chatting: Chatting,
  nWindow: number,
  every: number,
): Promise<Turn[]> {
  const { model, listener, passages, say } = chatting;
  const said = new Conversation(model.tokenizer, model.chatTemplate);
  const answers = new Map<string, Answer>();
  const turns: Turn[] = [];
  let history: readonly number[] = [];
  for (const [i, passage] of passages.entries()) {
    const { tokens, begin, end } = turnTokens(model, said, passage, i === 0);
    if ((i + 1) % every === 0) {
      const window = history.slice(-nWindow);
      const session = model.session({ method: "full" });
      try {
        listener.listen(window.length + begin, end - begin);
        const answer = await answerOf(session, { tokens: [...window, ...tokens] }, 1);
        const turn = await turnOf(chatting, session, answer, tokens.slice(begin, end), i + 1);
        turns.push({ ...turn, position: history.length + tokens.length });
        say?.(turns.at(-1) as Turn);
      } finally {
        session.dispose();
      }
    }
    const answer = answers.get(passage) ?? (await answerAlone(chatting, passage));
    answers.set(passage, answer);
    history = [...history, ...tokens, ...answer.tokens];
    said.add(messagesOf(passage), answer.text);
  }
  return turns;
}

async function answerAlone({ model, nAnswer }: Chatting, passage: string): Promise<Answer> {
  const session = model.session({ method: "full" });
  try {
    return await answerOf(session, messagesOf(passage), nAnswer);
  } finally {
    session.dispose();
  }
}

async function turnOf(
  { listener }: Chatting,
  session: Session,
  { events }: Answer,
  passage: Uint32Array,
  turn: number,
): Promise<Turn> {
  const { position, cache } = session.usage();
  const { bytes, peakBytes, fullBytes, perLayer } = cache;
  const nRows = Math.max(...perLayer.flatMap(({ rows }) => [...rows]));
  const nats = await listener.nats(passage);
  const nTokens = passage.length;
  return { turn, position, bytes, peakBytes, fullBytes, nRows, events, nats, nTokens };
}
