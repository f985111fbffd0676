import { byteAlphabet } from "./byte-alphabet.ts";
import { SPACE_SIGN } from "./spm.ts";
import { TokenType, type Vocabulary } from "./vocabulary.ts";

/** The UTF-8 bytes that a token stands for; one token may hold part of a character. */
export type TokenBytes = (token: number) => Uint8Array;

export function createTokenBytes(vocabulary: Vocabulary): TokenBytes {
  const { tokens, types, model } = vocabulary;
  const encoder = new TextEncoder();
  const byteOf = new Map(byteAlphabet().map((character, byte) => [character, byte]));
  const nothing = new Uint8Array(0);

  return (token) => {
    const text = tokens.at(token);
    if (text === undefined) {
      throw new RangeError(
        `Cannot decode token: it must be an integer from 0 to ${tokens.length - 1}, got ${token}`,
      );
    }
    switch (types[token]) {
      case TokenType.byte:
        return Uint8Array.of(Number.parseInt(text.slice(3, 5), 16));
      case TokenType.normal:
        if (model === "spm") return encoder.encode(text.replaceAll(SPACE_SIGN, " "));
        return byteLevelBytes(text, byteOf, encoder);
      case TokenType.control:
      case TokenType.unknown:
      case TokenType.userDefined:
        return encoder.encode(text);
      default:
        return nothing;
    }
  };
}

function byteLevelBytes(
  text: string,
  byteOf: ReadonlyMap<string, number>,
  encoder: TextEncoder,
): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    const byte = byteOf.get(character);
    if (byte === undefined) bytes.push(...encoder.encode(character));
    else bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
