import { Tokenizer } from "@huggingface/tokenizers";
import { assert } from "../errors.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** Turns a text without special tokens into token ids, appended to `out`. */
export type TextEncoding = (text: string, out: number[]) => void;

/**
 * Byte-level BPE over the merges of the file.
 *
 * Special tokens are not given to it: they are cut out before (special-tokens.ts). Bytes that the
 * vocabulary lacks are left out, as in llama.cpp.
 */
export function createBpe(vocabulary: Vocabulary): TextEncoding {
  const { preTokenizer } = vocabulary;
  assert(preTokenizer, "bpe needs a pre-tokenizer");
  const splits = preTokenizer.patterns.map((pattern) => ({
    type: "Split",
    pattern: { Regex: pattern },
    behavior: "Isolated",
    invert: false,
  }));
  const byteLevel = {
    type: "ByteLevel",
    add_prefix_space: false,
    use_regex: false,
    trim_offsets: false,
  };
  const tokenizer = new Tokenizer(
    {
      model: {
        type: "BPE",
        vocab: Object.fromEntries(vocabulary.tokenOf),
        merges: vocabulary.merges,
        ignore_merges: preTokenizer.ignoresMerges,
      },
      pre_tokenizer: { type: "Sequence", pretokenizers: [...splits, byteLevel] },
      normalizer: null,
      post_processor: null,
      decoder: null,
      added_tokens: [],
    },
    {},
  );
  return (text, out) => {
    for (const token of tokenizer.encode(text, { add_special_tokens: false }).ids) out.push(token);
  };
}
