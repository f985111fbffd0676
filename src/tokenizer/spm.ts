import type { TextEncoding } from "./bpe.ts";
import { mergeSymbols } from "./merge-symbols.ts";
import { TextTable } from "./text-table.ts";
import { TokenType, type Vocabulary } from "./vocabulary.ts";

/** The sign that sentencepiece writes for a space. */
export const SPACE_SIGN = "▁";

/**
 * Sentencepiece's BPE: again and again, the neighbours that together make the token with the
 * highest score become one; of equal scores the leftmost. What is no token then becomes bytes.
 * Its tables are made here: to be called late.
 *
 * @see llama.cpp, src/llama-vocab.cpp at 00ad355e, `llm_tokenizer_spm_session`.
 */
export function createSpm(vocabulary: Vocabulary): TextEncoding {
  const { scores, unknownToken } = vocabulary;
  const table = new TextTable(vocabulary.tokens);
  const longest = longestBytes(vocabulary);
  const encoder = new TextEncoder();
  const byteTokens = findByteTokens(vocabulary, table, encoder);

  return (plainText, out) => {
    const text = encoder.encode(plainText.replaceAll(" ", SPACE_SIGN));
    const bounds = mergeSymbols(characterBounds(text), (begin, _middle, end) => {
      if (end - begin > longest) return undefined;
      const token = table.find(text, begin, end);
      return token === -1 ? undefined : scores[token];
    });
    for (let i = 1; i < bounds.length; i++) {
      const [begin, end] = [bounds[i - 1]!, bounds[i]!];
      const token = table.find(text, begin, end);
      if (token !== -1) {
        out.push(token);
        continue;
      }
      for (const byte of text.subarray(begin, end)) {
        const byteToken = byteTokens[byte] ?? unknownToken;
        if (byteToken !== undefined) out.push(byteToken);
      }
    }
  };
}

/** Where the characters of a UTF-8 text begin, and its end. */
function characterBounds(text: Uint8Array): number[] {
  const bounds: number[] = [];
  for (let i = 0; i < text.length; i++) if ((text[i]! & 0xc0) !== 0x80) bounds.push(i);
  bounds.push(text.length);
  return bounds;
}

function longestBytes({ tokens }: Vocabulary): number {
  let longest = 0;
  for (let i = 0; i < tokens.length; i++) {
    longest = Math.max(longest, tokens.ends[i]! - tokens.start(i));
  }
  return longest;
}

/** The tokens `<0x00>` to `<0xFF>`, by byte. */
function findByteTokens(
  { types }: Vocabulary,
  table: TextTable,
  encoder: TextEncoder,
): (number | undefined)[] {
  return Array.from({ length: 256 }, (_, byte) => {
    const text = encoder.encode(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    const token = table.find(text, 0, text.length);
    return token !== -1 && types[token] === TokenType.byte ? token : undefined;
  });
}
