/** Text to token ids and back. */
export interface Tokenizer {
  readonly vocabSize: number;
  /** undefined where the model has none. */
  readonly bosToken: number | undefined;
  readonly eosToken: number | undefined;
  /** Tokens that end an answer: eos, end of turn. */
  readonly stopTokens: ReadonlySet<number>;
  /** Whether the model wants bos before a plain text. */
  readonly addsBos: boolean;
  /** SHA-256 (hex) over the vocabulary, merges and settings: snapshots carry it. */
  readonly hash: string;
  /**
   * @param options.parseSpecial Read special tokens such as `<|im_start|>` in the text as tokens.
   *   Default false: a user's text cannot forge control tokens.
   * @param options.addBos Put bos in front when the model wants it. Default false.
   */
  encode(text: string, options?: { parseSpecial?: boolean; addBos?: boolean }): Uint32Array;
  /** @param options.keepSpecial Write special tokens out as text. Default true. */
  decode(tokens: ArrayLike<number>, options?: { keepSpecial?: boolean }): string;
  /** The text of one token as the vocabulary holds it, for display. */
  piece(token: number): string;
  isSpecial(token: number): boolean;
  /** A streaming decoder that never returns half a UTF-8 character. */
  decodeStream(options?: { keepSpecial?: boolean }): TokenDecoder;
}

export interface TokenDecoder {
  /** The text that is certain after this token; may be empty. */
  push(token: number): string;
  /** What is left, with replacement characters for broken bytes. */
  end(): string;
}

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string;
}

export interface ChatTemplate {
  /**
   * @param options.addGenerationPrompt Default true.
   * @param options.continueFinalMessage The last message is left open. Default false.
   * @throws {KvasirError} `bad-option` with the template's own complaint.
   */
  render(
    messages: readonly ChatMessage[],
    options?: { addGenerationPrompt?: boolean; continueFinalMessage?: boolean },
  ): string;
}
