import type { TextEncoding } from "./bpe.ts";
import { mergeSymbols } from "./merge-symbols.ts";
import { TokenType, type Vocabulary } from "./vocabulary.ts";

/** The sign that sentencepiece writes for a space. */
export const SPACE_SIGN = "▁";

/**
 * Sentencepiece's BPE: again and again, the neighbours that together make the token with the
 * highest score become one; of equal scores the leftmost. What is no token then becomes bytes.
 *
 * @see llama.cpp, src/llama-vocab.cpp at 00ad355e, `llm_tokenizer_spm_session`.
 */
export function createSpm(vocabulary: Vocabulary): TextEncoding {
  const { tokens, tokenOf, scores } = vocabulary;
  const longest = tokens.reduce((length, token) => Math.max(length, token.length), 0);
  const byteTokens = findByteTokens(vocabulary);
  const encoder = new TextEncoder();

  return (plainText, out) => {
    const text = plainText.replaceAll(" ", SPACE_SIGN);
    const pieces = mergeSymbols(text, (begin, _middle, end) => {
      if (end - begin > longest) return undefined;
      const token = tokenOf.get(text.slice(begin, end));
      return token === undefined ? undefined : scores[token];
    });
    for (const piece of pieces) {
      const token = tokenOf.get(piece);
      if (token !== undefined) {
        out.push(token);
        continue;
      }
      for (const byte of encoder.encode(piece)) {
        const byteToken = byteTokens[byte] ?? vocabulary.unknownToken;
        if (byteToken !== undefined) out.push(byteToken);
      }
    }
  };
}

/** The tokens `<0x00>` to `<0xFF>`, by byte. */
function findByteTokens({ tokenOf, types }: Vocabulary): (number | undefined)[] {
  return Array.from({ length: 256 }, (_, byte) => {
    const token = tokenOf.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    return token !== undefined && types[token] === TokenType.byte ? token : undefined;
  });
}
