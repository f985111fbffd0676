import { Tokenizer as Peer } from "@huggingface/tokenizers";
import { describe, expect, test } from "vitest";
import { createTokenizer } from "../../../src/tokenizer/from-gguf.ts";
import { PRE_TOKENIZERS } from "../../../src/tokenizer/pre-tokenizers.ts";
import { Rng, seedOf } from "../../support/rng.ts";
import { randomText } from "../../support/random-text.ts";
import { bpeMetadata, byteAlphabet } from "../../support/tokenizers.ts";

/** What another implementation makes of a text. */
function peerEncoding(tokens: string[], merges: string[], pre: string): (text: string) => number[] {
  const { patterns = [], ignoresMerges = false } = PRE_TOKENIZERS.get(pre) ?? {};
  const split = (Regex: string) => ({
    ...{ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false },
  });
  const byteLevel = {
    ...{ type: "ByteLevel", add_prefix_space: false, use_regex: false, trim_offsets: false },
  };
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const model = { type: "BPE", vocab, merges, ignore_merges: ignoresMerges };
  const peer = new Peer(
    {
      model,
      pre_tokenizer: { type: "Sequence", pretokenizers: [...patterns.map(split), byteLevel] },
      ...{ normalizer: null, post_processor: null, decoder: null, added_tokens: [] },
    },
    {},
  );
  return (text) => peer.encode(text, { add_special_tokens: false }).ids;
}

/** Merges that build on each other, of characters that words have. */
function randomMerges(rng: Rng): string[] {
  const alphabet = byteAlphabet();
  const common = [..."aabbc '.1\né中"].flatMap((character) =>
    Array.from(new TextEncoder().encode(character), (byte) => alphabet[byte] ?? ""),
  );
  const symbols = [...common];
  const merges = new Set<string>();
  const made = new Set(alphabet);
  for (let n = rng.integer(300, 900); n > 0; n--) {
    const pick = (): string => symbols[rng.integer(0, symbols.length)] ?? "";
    const [left, right] = [pick(), pick()];
    if (made.has(left + right)) continue;
    made.add(left + right);
    merges.add(`${left} ${right}`);
    symbols.push(left + right);
  }
  return [...merges];
}

/** Words of few letters, so that merges meet, among all that Unicode has. */
function sometimesPlain(rng: Rng): string {
  if (rng.integer(0, 6) === 0) return randomText(rng, rng.integer(0, 60));
  const letters = [..."aaaabbbbccA''  ..!1290\n\téп中🦙\u0085\ufeff"];
  const letter = (): string => letters[rng.integer(0, letters.length)] ?? "";
  return Array.from({ length: rng.integer(0, 120) }, letter).join("");
}

describe("byte-level BPE: the ids of another implementation", () => {
  test.each(["gpt-2", "smollm", "qwen2", "llama-bpe", "default"])("pre-tokenizer %s", (pre) => {
    const rng = new Rng(seedOf(`bpe ${pre}`));
    let nMerged = 0;
    for (let round = 0; round < 12; round++) {
      const merges = randomMerges(rng);
      const metadata = bpeMetadata(merges, {}, { pre });
      const tokenizer = createTokenizer(metadata);
      const peer = peerEncoding(metadata.get("tokenizer.ggml.tokens") as string[], merges, pre);
      for (let i = 0; i < 25; i++) {
        const text = sometimesPlain(rng);
        const ids = [...tokenizer.encode(text)];
        expect(ids, `seed ${rng.seed}, round ${round}, text ${i}`).toEqual(peer(text));
        nMerged += ids.filter((id) => id >= 256).length;
      }
    }
    expect(nMerged).toBeGreaterThan(300);
  });
});
