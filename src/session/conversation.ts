// What was said, and the tokens that a new turn adds to what the cache has already read.
import { KvasirError } from "../errors.ts";
import type { ChatMessage, ChatTemplate, Tokenizer } from "../tokenizer/tokenizer.ts";
import type { GenerateInput } from "../types.ts";

/** Stands for the content of the i-th message while a template is rendered: private use characters. */
const MARKS = /\u{E000}CONTENT-(\d+)\u{E000}/u;

/** Characters [begin, end) of the rendered text. */
export interface Content {
  readonly role: ChatMessage["role"];
  readonly begin: number;
  readonly end: number;
}

/** The messages of an input that were not read before. */
interface Fresh {
  readonly messages: readonly ChatMessage[];
  /** The first one holds only what comes after the text of the message that was left open. */
  readonly isContinued: boolean;
}

/** What was said, to go on from in another session. */
export interface SavedConversation {
  readonly messages: readonly ChatMessage[];
  /** The last message was read without its end: text of the same role goes on in it. */
  readonly isOpen: boolean;
}

/** Between the text of a message that was left open and a new message of the same role. */
const SEPARATOR = "\n\n";

export class Conversation {
  readonly #tokenizer: Tokenizer;
  readonly #template: ChatTemplate | null;
  #messages: readonly ChatMessage[] = [];
  #isOpen = false;

  constructor(tokenizer: Tokenizer, template: ChatTemplate | null, saved?: SavedConversation) {
    this.#tokenizer = tokenizer;
    this.#template = template;
    this.#messages = saved?.messages ?? [];
    this.#isOpen = saved?.isOpen ?? false;
  }

  fork(): Conversation {
    return new Conversation(this.#tokenizer, this.#template, this.save());
  }

  save(): SavedConversation {
    return { messages: this.#messages, isOpen: this.#isOpen };
  }

  /**
   * Tokens of `input` as the continuation of what was said.
   *
   * @param isFirst Nothing was read yet: the model's bos goes in front where it wants one.
   * @param isOpen Without the end of the last message and without the beginning of an answer.
   * @throws {KvasirError} `bad-option` for an input without content or messages whose history is not
   *   what was said, `unsupported-option` for messages to a model without a chat template.
   */
  tokensOf(input: GenerateInput, isFirst: boolean, isOpen = false): Uint32Array {
    const tokens = this.#encode(input, isFirst, isOpen);
    if (tokens.length > 0) return tokens;
    throw new KvasirError("bad-option", "Cannot generate: the input holds no token");
  }

  /** The new part of the rendered conversation and where the messages' contents lie in it. */
  contents(
    input: readonly ChatMessage[],
    isOpen = false,
  ): { readonly text: string; readonly contents: readonly Content[] } {
    if (this.#template === null) return { text: "", contents: [] };
    const { messages, isContinued } = this.#fresh(input);
    const marked = { messages: messages.map(withMark), isContinued };
    const parts = this.#renderNew(this.#template, marked, isOpen).split(MARKS);
    const contents: Content[] = [];
    let text = "";
    for (const [i, part] of parts.entries()) {
      const message = i % 2 === 0 ? undefined : messages[Number(part)];
      const begin = text.length;
      text += message === undefined ? part : message.content.trim();
      if (message !== undefined) contents.push({ role: message.role, begin, end: text.length });
    }
    return { text, contents };
  }

  /**
   * Notes a turn, once it is in the cache.
   * @param answer undefined: the last message was left open.
   */
  add(input: GenerateInput, answer: string | undefined): void {
    if (!isMessages(input)) return;
    const read = joined(this.#messages, this.#fresh(input));
    this.#messages =
      answer === undefined ? read : [...read, { role: "assistant", content: answer }];
    this.#isOpen = answer === undefined;
  }

  reset(): void {
    this.#messages = [];
    this.#isOpen = false;
  }

  #encode(input: GenerateInput, isFirst: boolean, isOpen: boolean): Uint32Array {
    if (typeof input === "string") return this.#tokenizer.encode(input, { addBos: isFirst });
    if (!isMessages(input)) return checkTokens(input.tokens, this.#tokenizer.vocabSize);
    const template = this.#template;
    if (template === null) {
      throw new KvasirError(
        "unsupported-option",
        "Cannot generate: the model has no chat template; give a text instead of messages",
      );
    }
    const fresh = this.#fresh(input);
    if (fresh.messages.length === 0) {
      throw new KvasirError("bad-option", "Cannot generate: there is no message to answer");
    }
    const tokens = this.#encodeMessages(template, fresh, isOpen);
    const { addsBos, bosToken } = this.#tokenizer;
    if (!isFirst || !addsBos || bosToken === undefined || tokens[0] === bosToken) return tokens;
    return Uint32Array.from([bosToken, ...tokens]);
  }

  /** Callers may give the new messages alone, or the whole conversation so far and the new ones. */
  #fresh(input: readonly ChatMessage[]): Fresh {
    const said = this.#messages;
    const last = said.at(-1);
    const differs = said.findIndex((message, i) => !this.#isRead(message, input[i], i));
    if (differs < 0) {
      if (!this.#isOpen || last === undefined) {
        return { messages: input.slice(said.length), isContinued: false };
      }
      const [first, ...rest] = input.slice(said.length - 1);
      const content = first?.content.slice(last.content.length) ?? "";
      return { messages: [{ ...last, content }, ...rest], isContinued: true };
    }
    const isWhole = input[0]?.role === "system" || input.some(({ role }) => role === "assistant");
    if (isWhole) throw otherHistory(differs, said, input);
    const isContinued = this.#isOpen && last?.role === input[0]?.role;
    if (!isContinued) return { messages: input, isContinued };
    const messages = input.map((message, i) =>
      i === 0 ? { ...message, content: SEPARATOR + message.content } : message,
    );
    return { messages, isContinued };
  }

  /** Whether `given` says what was read as the `i`-th message: white space around it aside. */
  #isRead(read: ChatMessage, given: ChatMessage | undefined, i: number): boolean {
    if (given?.role !== read.role) return false;
    const isLeftOpen = this.#isOpen && i === this.#messages.length - 1;
    return isLeftOpen
      ? given.content.startsWith(read.content)
      : given.content.trim() === read.content.trim();
  }

  /** The part of the rendered conversation after what the cache holds. */
  #renderNew(template: ChatTemplate, fresh: Fresh, isOpen: boolean): string {
    const said = this.#messages;
    const options = isOpen ? { continueFinalMessage: true } : {};
    if (said.length === 0) return template.render(fresh.messages, options);
    for (const before of [said, said.map((m) => ({ ...m, content: m.content.trim() }))]) {
      const open = template.render(before, { continueFinalMessage: true });
      const whole = template.render(joined(before, fresh), options);
      if (whole.startsWith(open)) return whole.slice(open.length);
    }
    return template.render(fresh.messages, options);
  }

  /**
   * The template's control tokens are tokens, those that a message spells out are text. Such a
   * message is rendered as a mark and encoded apart: to look for its text in what was rendered could
   * find the template's own.
   */
  #encodeMessages(template: ChatTemplate, fresh: Fresh, isOpen: boolean): Uint32Array {
    const { messages, isContinued } = fresh;
    const forged = new Set(
      [...messages.keys()].filter((i) => this.#spellsControl(messages[i]?.content ?? "")),
    );
    const marked = messages.map((message, i) => (forged.has(i) ? withMark(message, i) : message));
    const rendered = this.#renderNew(template, { messages: marked, isContinued }, isOpen);
    const found = new Set<number>();
    const tokens = rendered.split(MARKS).flatMap((part, i) => {
      if (i % 2 === 0) return [...this.#tokenizer.encode(part, { parseSpecial: true })];
      found.add(Number(part));
      return [...this.#tokenizer.encode(messages[Number(part)]?.content.trim() ?? "")];
    });
    if ([...forged].every((i) => found.has(i))) return Uint32Array.from(tokens);
    throw new KvasirError(
      "bad-option",
      "Cannot generate: a message spells out a control token, and the chat template changes it",
    );
  }

  #spellsControl(content: string): boolean {
    const tokens = this.#tokenizer.encode(content, { parseSpecial: true });
    return tokens.some((token) => this.#tokenizer.isSpecial(token));
  }
}

/** The conversation with the new messages. */
function joined(
  said: readonly ChatMessage[],
  { messages, isContinued }: Fresh,
): readonly ChatMessage[] {
  const [last, [first, ...rest]] = [said.at(-1), messages];
  if (!isContinued || last === undefined || first === undefined) return [...said, ...messages];
  return [...said.slice(0, -1), { ...last, content: last.content + first.content }, ...rest];
}

function otherHistory(
  i: number,
  said: readonly ChatMessage[],
  input: readonly ChatMessage[],
): KvasirError {
  const [read, given] = [said[i], input[i]];
  const told = given === undefined ? "nothing" : `"${given.role}" ${show(given.content)}`;
  return new KvasirError(
    "bad-option",
    `Cannot generate: the messages do not go on from what the session has read; message ${i} was ` +
      `"${read?.role}" ${show(read?.content ?? "")}, got ${told}. ` +
      "Give the new messages alone, or reset the session",
  );
}

function show(content: string): string {
  return JSON.stringify(content.length > 40 ? `${content.slice(0, 40)}…` : content);
}

function isMessages(input: GenerateInput): input is readonly ChatMessage[] {
  return Array.isArray(input);
}

function checkTokens(tokens: ArrayLike<number>, vocabSize: number): Uint32Array {
  const wrong = Array.from(tokens).findIndex(
    (token) => !Number.isInteger(token) || token < 0 || token >= vocabSize,
  );
  if (wrong < 0) return Uint32Array.from(tokens);
  throw new KvasirError(
    "bad-option",
    `Cannot generate: a token must be an integer from 0 to ${vocabSize - 1}, ` +
      `got ${tokens[wrong]} at index ${wrong}`,
  );
}

/** The white space around a content stays: templates trim it or not. */
function withMark(message: ChatMessage, i: number): ChatMessage {
  const { content } = message;
  const core = content.trim();
  const at = content.indexOf(core);
  const mark = `\u{E000}CONTENT-${i}\u{E000}`;
  return { ...message, content: content.slice(0, at) + mark + content.slice(at + core.length) };
}
