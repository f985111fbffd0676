// What was said, and the tokens that a new turn adds to what the cache has already read.
import { KvasirError } from "./errors.ts";
import type { ChatMessage, ChatTemplate, Tokenizer } from "./tokenizer/tokenizer.ts";
import type { GenerateInput } from "./types.ts";

/** Stands for the content of the i-th message while a template is rendered: private use characters. */
const MARKS = /\u{E000}CONTENT-(\d+)\u{E000}/u;

/** Characters [begin, end) of the rendered text. */
export interface Content {
  readonly role: ChatMessage["role"];
  readonly begin: number;
  readonly end: number;
}

export class Conversation {
  readonly #tokenizer: Tokenizer;
  readonly #template: ChatTemplate | null;
  #messages: ChatMessage[] = [];

  constructor(tokenizer: Tokenizer, template: ChatTemplate | null) {
    this.#tokenizer = tokenizer;
    this.#template = template;
  }

  /**
   * Tokens of `input` as the continuation of what was said.
   *
   * @param isFirst Nothing was read yet: the model's bos goes in front where it wants one.
   * @throws {KvasirError} `bad-option` for an input without content, `unsupported-option` for
   *   messages to a model without a chat template.
   */
  tokensOf(input: GenerateInput, isFirst: boolean): Uint32Array {
    const tokens = this.#encode(input, isFirst);
    if (tokens.length > 0) return tokens;
    throw new KvasirError("bad-option", "Cannot generate: the input holds no token");
  }

  /** The new part of the rendered conversation and where the messages' contents lie in it. */
  contents(input: readonly ChatMessage[]): { text: string; contents: Content[] } {
    if (this.#template === null) return { text: "", contents: [] };
    const parts = this.#renderNew(this.#template, input.map(withMark)).split(MARKS);
    const contents: Content[] = [];
    let text = "";
    for (const [i, part] of parts.entries()) {
      const message = i % 2 === 0 ? undefined : input[Number(part)];
      const begin = text.length;
      text += message === undefined ? part : message.content.trim();
      if (message !== undefined) contents.push({ role: message.role, begin, end: text.length });
    }
    return { text, contents };
  }

  /** Notes a turn, once it is in the cache. */
  add(input: GenerateInput, answer: string): void {
    if (!isMessages(input)) return;
    this.#messages.push(...this.#unread(input), { role: "assistant", content: answer });
  }

  reset(): void {
    this.#messages = [];
  }

  #encode(input: GenerateInput, isFirst: boolean): Uint32Array {
    if (typeof input === "string") return this.#tokenizer.encode(input, { addBos: isFirst });
    if (!isMessages(input)) return checkTokens(input.tokens, this.#tokenizer.vocabSize);
    const template = this.#template;
    if (template === null) {
      throw new KvasirError(
        "unsupported-option",
        "Cannot generate: the model has no chat template; give a text instead of messages",
      );
    }
    const unread = this.#unread(input);
    if (unread.length === 0) {
      throw new KvasirError("bad-option", "Cannot generate: there is no message to answer");
    }
    const tokens = this.#encodeMessages(template, unread);
    const { addsBos, bosToken } = this.#tokenizer;
    if (!isFirst || !addsBos || bosToken === undefined || tokens[0] === bosToken) return tokens;
    return Uint32Array.from([bosToken, ...tokens]);
  }

  /** Callers may give the new messages alone, or the whole conversation so far and the new ones. */
  #unread(input: readonly ChatMessage[]): readonly ChatMessage[] {
    const isWhole = this.#messages.every(
      ({ role, content }, i) => input[i]?.role === role && input[i].content === content,
    );
    return isWhole ? input.slice(this.#messages.length) : input;
  }

  /** The part of the rendered conversation after the last answer, which the cache holds. */
  #renderNew(template: ChatTemplate, input: readonly ChatMessage[]): string {
    const said = this.#messages;
    if (said.length === 0) return template.render(input);
    for (const before of [said, said.map((m) => ({ ...m, content: m.content.trim() }))]) {
      const open = template.render(before, { continueFinalMessage: true });
      const whole = template.render([...before, ...input]);
      if (whole.startsWith(open)) return whole.slice(open.length);
    }
    return template.render(input);
  }

  /**
   * The template's control tokens are tokens, those that a message spells out are text. Such a
   * message is rendered as a mark and encoded apart: to look for its text in what was rendered could
   * find the template's own.
   */
  #encodeMessages(template: ChatTemplate, input: readonly ChatMessage[]): Uint32Array {
    const forged = new Set(
      [...input.keys()].filter((i) => this.#spellsControl(input[i]?.content ?? "")),
    );
    const marked = input.map((message, i) => (forged.has(i) ? withMark(message, i) : message));
    const parts = this.#renderNew(template, marked).split(MARKS);
    const found = new Set<number>();
    const tokens = parts.flatMap((part, i) => {
      if (i % 2 === 0) return [...this.#tokenizer.encode(part, { parseSpecial: true })];
      found.add(Number(part));
      return [...this.#tokenizer.encode(input[Number(part)]?.content.trim() ?? "")];
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
