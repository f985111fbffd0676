import type { TokenBytes } from "./token-bytes.ts";
import type { TokenDecoder } from "./tokenizer.ts";

export interface DecodeStreamOptions {
  readonly tokenBytes: TokenBytes;
  /** Tokens that leave no text. */
  readonly isHidden: (token: number) => boolean;
  /** Take one space off the front of the first token: the one that encoding put there. */
  readonly trimsFirstSpace: boolean;
}

/** Token ids to text, holding back the bytes of a character until it is complete. */
export function createDecodeStream(options: DecodeStreamOptions): TokenDecoder {
  // A byte order mark is text like any other.
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let isFirst = true;
  return {
    push(token) {
      const bytes = options.tokenBytes(token);
      const trims = isFirst && options.trimsFirstSpace && bytes[0] === 0x20;
      isFirst = false;
      if (options.isHidden(token)) return "";
      return decoder.decode(trims ? bytes.subarray(1) : bytes, { stream: true });
    },
    end: () => decoder.decode(),
  };
}
