import { createBpe, type TextEncoding } from "./bpe.ts";
import { createDecodeStream } from "./decode-stream.ts";
import { Sha256 } from "./sha256.ts";
import { createSpecialTokens, type SpecialTokens } from "./special-tokens.ts";
import { createSpm } from "./spm.ts";
import { createTokenBytes } from "./token-bytes.ts";
import type { TokenDecoder, Tokenizer } from "./tokenizer.ts";
import { type Metadata, parseVocabulary, TokenType, type Vocabulary } from "./vocabulary.ts";

/**
 * Makes the tokenizer that a GGUF file describes. Token ids equal llama.cpp's.
 *
 * Deviation: llama.cpp's `clean_spaces` (gpt-2, llama-bpe: " ." becomes ".") is left out of
 * decoding; it can't be streamed, and llama.cpp's own streaming does without it.
 *
 * @param metadata Keys `tokenizer.ggml.*`.
 * @throws {KvasirError} `bad-gguf` for missing or wrong keys, `unsupported-model` for a tokenizer
 *   or pre-tokenizer that isn't known; the message lists those that are.
 */
export function createTokenizer(metadata: Metadata): Tokenizer {
  const vocabulary = parseVocabulary(metadata);
  const { tokens, types, bosToken, addsSpacePrefix } = vocabulary;
  // Made by the first text: a load does not wait for their tables.
  let encoding: TextEncoding | undefined;
  let specialTokens: SpecialTokens | undefined;
  const encodeText: TextEncoding = (text, out) => {
    encoding ??= vocabulary.model === "spm" ? createSpm(vocabulary) : createBpe(vocabulary);
    encoding(text, out);
  };
  const tokenBytes = createTokenBytes(vocabulary);
  const isSpecial = (token: number): boolean =>
    types[token] === TokenType.control || types[token] === TokenType.unknown;
  let hash: string | undefined;

  const decodeStream = (options: { keepSpecial?: boolean } = {}): TokenDecoder =>
    createDecodeStream({
      tokenBytes,
      isHidden: (token) => options.keepSpecial === false && isSpecial(token),
      trimsFirstSpace: addsSpacePrefix,
    });

  return {
    vocabSize: tokens.length,
    bosToken,
    eosToken: vocabulary.eosToken,
    stopTokens: vocabulary.stopTokens,
    addsBos: vocabulary.addsBos,
    get hash() {
      return (hash ??= hashVocabulary(vocabulary));
    },
    encode(text, { parseSpecial = false, addBos = false } = {}) {
      const out: number[] = [];
      if (addBos && vocabulary.addsBos && bosToken !== undefined) out.push(bosToken);
      let followsSpecial = true;
      specialTokens ??= createSpecialTokens(vocabulary);
      for (const fragment of specialTokens.split(wellFormed(text), parseSpecial)) {
        if (typeof fragment === "number") out.push(fragment);
        else encodeText(addsSpacePrefix && followsSpecial ? ` ${fragment}` : fragment, out);
        followsSpecial = typeof fragment === "number";
      }
      return Uint32Array.from(out);
    },
    decode(ids, options) {
      const decoder = decodeStream(options);
      const pieces: string[] = [];
      for (let i = 0; i < ids.length; i++) pieces.push(decoder.push(ids[i]!));
      return pieces.join("") + decoder.end();
    },
    piece: (token) => tokens.at(token) ?? "",
    isSpecial,
    decodeStream,
  };
}

/** Half surrogate pairs have no UTF-8; as everywhere, they become U+FFFD. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\uFFFD");
}

function hashVocabulary(vocabulary: Vocabulary): string {
  const { tokens, merges, types, scores } = vocabulary;
  const { model, preTokenizerName, bosToken, eosToken, addsBos, addsSpacePrefix } = vocabulary;
  const settings = [model, preTokenizerName, bosToken, eosToken, addsBos, addsSpacePrefix];
  const encoder = new TextEncoder();
  return new Sha256()
    .update(encoder.encode([...tokens].join("\0")))
    .update(encoder.encode([...merges].join("\0")))
    .update(types)
    .update(bytesOf(scores))
    .update(encoder.encode(JSON.stringify([...settings, ...vocabulary.stopTokens])))
    .hex();
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
