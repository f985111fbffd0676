// Sessions of the toys, and their answers as data.
import type { LocalModel } from "../../src/session/local-model.ts";
import { LocalSession, type SessionParts } from "../../src/session.ts";
import { createChatTemplate } from "../../src/tokenizer/chat-template.ts";
import type {
  GenerateEvent,
  GenerateInput,
  GenerateOptions,
  Session,
  SessionOptions,
} from "../../src/types.ts";

export type TokenEvent = Extract<GenerateEvent, { type: "token" }>;
export type DoneEvent = Extract<GenerateEvent, { type: "done" }>;

export interface Answer {
  readonly events: GenerateEvent[];
  readonly tokens: TokenEvent[];
  readonly ids: number[];
  /** Pieces of the token events, joined. */
  readonly pieces: string;
  readonly done: DoneEvent;
}

export async function answer(
  session: Session,
  input: GenerateInput,
  options: GenerateOptions = {},
): Promise<Answer> {
  const events: GenerateEvent[] = [];
  for await (const event of session.generate(input, options)) events.push(event);
  return toAnswer(events);
}

function toAnswer(events: GenerateEvent[]): Answer {
  const tokens = events.filter((event): event is TokenEvent => event.type === "token");
  const done = events.at(-1);
  if (done?.type !== "done") throw new Error("Cannot collect: an answer ends with done");
  return {
    events,
    tokens,
    ids: tokens.map(({ token }) => token),
    pieces: tokens.map(({ text }) => text).join(""),
    done,
  };
}

/** The events up to the one that `isLast` names, then `act` on it and whatever follows. */
export async function collect(
  events: AsyncIterable<GenerateEvent>,
  act: (event: GenerateEvent, n: number) => void = () => {},
): Promise<{ readonly events: GenerateEvent[]; readonly error: unknown }> {
  const seen: GenerateEvent[] = [];
  try {
    for await (const event of events) {
      seen.push(event);
      act(event, seen.length);
    }
  } catch (error) {
    return { events: seen, error };
  }
  return { events: seen, error: undefined };
}

/** ChatML, which the toys' control tokens are made for. */
export const CHATML =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] | trim" +
  " + '<|im_end|>' + '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/** Parts of a toy with a chat template, and other stop tokens if wanted. */
export function chatParts(
  model: LocalModel,
  options: { readonly template?: string; readonly stopTokens?: readonly number[] } = {},
): SessionParts {
  const { parts } = model;
  const { template = CHATML, stopTokens } = options;
  const tokenizer =
    stopTokens === undefined
      ? parts.tokenizer
      : { ...parts.tokenizer, stopTokens: new Set(stopTokens) };
  const metadata = new Map([["tokenizer.chat_template", template]]);
  return { ...parts, tokenizer, chatTemplate: createChatTemplate(metadata, tokenizer) };
}

export function chatSession(
  model: LocalModel,
  options: Parameters<typeof chatParts>[1] & { readonly session?: SessionOptions } = {},
): LocalSession {
  return new LocalSession(chatParts(model, options), options.session ?? {});
}
