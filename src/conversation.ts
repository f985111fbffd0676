// What was said, and the tokens that a new turn adds to what the cache has already read.
import { KvasirError } from "./errors.ts";
import type { ChatMessage, ChatTemplate, Tokenizer } from "./tokenizer/tokenizer.ts";
import type { GenerateInput } from "./types.ts";


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

  /** Notes a turn, once it is in the cache. */
  add(input: GenerateInput, answer: string): void {
    if (!isMessages(input)) return;
    this.#messages.push(...input, { role: "assistant", content: answer });
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
    if (input.length === 0) {
      throw new KvasirError("bad-option", "Cannot generate: messages must not be empty");
    }
    const tokens = this.#encodeRendered(this.#renderNew(template, input), input);
    const { addsBos, bosToken } = this.#tokenizer;
    if (!isFirst || !addsBos || bosToken === undefined || tokens[0] === bosToken) return tokens;
    return Uint32Array.from([bosToken, ...tokens]);
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
   * The template's control tokens are tokens, those that a message spells out are text: where a
   * content holds one, contents are encoded apart from the template around them.
   */
  #encodeRendered(rendered: string, input: readonly ChatMessage[]): Uint32Array {
    const forged = input.filter(({ content }) => this.#spellsControl(content));
    if (forged.length === 0) return this.#tokenizer.encode(rendered, { parseSpecial: true });
    const parts = cutOut(rendered, forged);
    return Uint32Array.from(
      parts.flatMap(({ text, isContent }) => [
        ...this.#tokenizer.encode(text, { parseSpecial: !isContent }),
      ]),
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

/** `rendered` in pieces: the contents of `messages`, in order, and what lies between. */
function cutOut(
  rendered: string,
  messages: readonly ChatMessage[],
): { readonly text: string; readonly isContent: boolean }[] {
  const parts: { text: string; isContent: boolean }[] = [];
  let rest = rendered;
  for (const message of messages) {
    const content = message.content.trim();
    const at = rest.indexOf(content);
    if (at < 0) {
      throw new KvasirError(
        "bad-option",
        "Cannot generate: a message spells out a control token, and the chat template changes it",
      );
    }
    parts.push({ text: rest.slice(0, at), isContent: false }, { text: content, isContent: true });
    rest = rest.slice(at + content.length);
  }
  return [...parts, { text: rest, isContent: false }];
}
