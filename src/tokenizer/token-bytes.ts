import { SPACE_SIGN } from "./spm.ts";
import { TokenType, type Vocabulary } from "./vocabulary.ts";

/** The UTF-8 bytes that a token stands for; one token may hold part of a character. */
export type TokenBytes = (token: number) => Uint8Array;

export function createTokenBytes(vocabulary: Vocabulary): TokenBytes {
  const { tokens, types, model } = vocabulary;
  const encoder = new TextEncoder();
  const byteOf = byteOfCharacter();
  const nothing = new Uint8Array(0);

  return (token) => {
    const text = tokens[token];
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

/**
 * GPT-2's alphabet: every byte has a visible character. Printable Latin-1 stands for itself, the
 * other 68 bytes are, in order, U+0100 and on.
 */
function byteOfCharacter(): Map<string, number> {
  const byteOf = new Map<string, number>();
  let nShifted = 0;
  for (let byte = 0; byte < 256; byte++) {
    const isPrintable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
    byteOf.set(String.fromCharCode(isPrintable ? byte : 0x100 + nShifted++), byte);
  }
  return byteOf;
}
