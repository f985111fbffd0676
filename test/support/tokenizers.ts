// Small vocabularies for tests, as a GGUF file's metadata would give them.
import { TokenType } from "../../src/tokenizer/vocabulary.ts";

/** GPT-2's alphabet: the character that stands for each byte. */
export function byteAlphabet(): string[] {
  const isPrintable = (byte: number): boolean =>
    (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  let nShifted = 0;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isPrintable(byte) ? byte : 0x100 + nShifted++),
  );
}

/** All bytes, the given merges, then special tokens by text and type. */
export function bpeMetadata(
  merges: readonly string[],
  specials: Readonly<Record<string, number>> = {},
  extra: Readonly<Record<string, unknown>> = {},
): Map<string, unknown> {
  const ordinary = [...byteAlphabet(), ...merges.map((merge) => merge.replace(" ", ""))];
  return ggml({
    model: "gpt2",
    pre: "gpt-2",
    tokens: [...ordinary, ...Object.keys(specials)],
    token_type: Int32Array.from([
      ...ordinary.map(() => TokenType.normal),
      ...Object.values(specials),
    ]),
    merges,
    ...extra,
  });
}

/** `<unk>`, `<s>`, `</s>`, 256 byte tokens, then pieces with their scores. */
export function spmMetadata(
  pieces: Readonly<Record<string, number>>,
  extra: Readonly<Record<string, unknown>> = {},
): Map<string, unknown> {
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const texts = Object.keys(pieces);
  return ggml({
    model: "llama",
    tokens: ["<unk>", "<s>", "</s>", ...bytes, ...texts],
    token_type: Int32Array.from([
      ...[TokenType.unknown, TokenType.control, TokenType.control],
      ...bytes.map(() => TokenType.byte),
      ...texts.map(() => TokenType.normal),
    ]),
    scores: Float32Array.from([...new Array<number>(259).fill(0), ...Object.values(pieces)]),
    ...extra,
  });
}

function ggml(values: Readonly<Record<string, unknown>>): Map<string, unknown> {
  return new Map(Object.entries(values).map(([key, value]) => [`tokenizer.ggml.${key}`, value]));
}
