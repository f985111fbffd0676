import { describe, expect, test } from "vitest";
import { KvasirError } from "../../../src/errors.ts";
import { createTokenizer } from "../../../src/tokenizer/from-gguf.ts";
import { TokenType } from "../../../src/tokenizer/vocabulary.ts";
import { Rng, seedOf } from "../../support/rng.ts";
import { randomText } from "../../support/random-text.ts";
import { bpeMetadata, spmMetadata } from "../../support/tokenizers.ts";

const { control, userDefined } = TokenType;
const MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r"];

function errorOf(run: () => unknown): KvasirError {
  try {
    run();
  } catch (error) {
    if (error instanceof KvasirError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("byte-level BPE", () => {
  const tokenizer = createTokenizer(bpeMetadata(MERGES));
  const pieces = (text: string): string[] =>
    Array.from(tokenizer.encode(text), (token) => tokenizer.piece(token));

  test("merges in the order of the file", () => {
    expect(pieces("hello wor")).toEqual(["hello", "Ġw", "or"]);
    expect(pieces("hel")).toEqual(["he", "l"]);
  });

  test("does not merge over words", () => {
    expect(pieces("he llo")).toEqual(["he", "Ġ", "ll", "o"]);
  });

  test.each(["gpt-2", "smollm", "qwen2", "llama-bpe", "default"])(
    "decode(encode(s)) = s over random unicode, pre-tokenizer %s",
    (pre) => {
      const any = createTokenizer(bpeMetadata(MERGES, {}, { pre }));
      const rng = new Rng(seedOf(pre));
      for (let i = 0; i < 200; i++) {
        const text = randomText(rng, rng.integer(0, 60));
        expect(any.decode(any.encode(text)), `seed ${rng.seed}, text ${i}`).toBe(text);
      }
    },
  );

  test("half surrogate pairs become U+FFFD", () => {
    expect(tokenizer.decode(tokenizer.encode("a\uD800b\uDC00"))).toBe("a\uFFFDb\uFFFD");
  });

  test("bytes that the vocabulary lacks are left out, but keep their neighbours apart", () => {
    const metadata = bpeMetadata(["a b"]);
    const tokens = (metadata.get("tokenizer.ggml.tokens") as string[]).map((token) =>
      token === "q" ? "never" : token,
    );
    const lacking = createTokenizer(metadata.set("tokenizer.ggml.tokens", tokens));
    expect(Array.from(lacking.encode("aqbab"), (id) => lacking.piece(id))).toEqual([
      "a",
      "b",
      "ab",
    ]);
  });

  test("tokens named like properties of objects are tokens", () => {
    const names = { constructor: TokenType.normal, ["__proto__"]: userDefined };
    const odd = createTokenizer(bpeMetadata([], names, { pre: "llama-bpe" }));
    expect([...odd.encode("constructor__proto__")]).toEqual([256, 257]);
  });
});

describe("pre-tokenizers", () => {
  // Without merges over the cut, a merge that spans it shows whether the text was cut there.
  const isCut = (pre: string, text: string, merge: string): boolean => {
    const tokenizer = createTokenizer(bpeMetadata([merge], {}, { pre }));
    return !Array.from(tokenizer.encode(text), (id) => tokenizer.piece(id)).includes(
      merge.replace(" ", ""),
    );
  };

  test.each([
    ["gpt-2", "12", "1 2", false],
    ["smollm", "12", "1 2", true],
    ["qwen2", "12", "1 2", true],
    ["llama-bpe", "123", "1 2", false],
    ["llama-bpe", "1234", "3 4", true],
    ["default", "123", "1 2", false],
    ["default", "a.", "a .", true],
    ["gpt-2", "I'm", "' m", false],
    ["gpt-2", "I'M", "' M", true],
    ["llama-bpe", "I'M", "' M", false],
    ["gpt-2", ".a", ". a", true],
    ["qwen2", ".a", ". a", false],
    ["gpt-2", ".\n", ". Ċ", true],
    ["llama-bpe", ".\n", ". Ċ", false],
    ["gpt-2", "  a", "Ġ Ġ", true],
    ["gpt-2", "  a", "Ġ a", false],
  ])("%s on %j cuts at %j: %s", (pre, text, merge, expected) => {
    expect(isCut(pre, text, merge)).toBe(expected);
  });

  test("llama-bpe takes a word that is a token whole, qwen2 merges only", () => {
    const specials = { abc: TokenType.normal };
    const length = (pre: string): number =>
      createTokenizer(bpeMetadata([], specials, { pre })).encode("abc").length;
    expect(length("llama-bpe")).toBe(1);
    expect(length("qwen2")).toBe(3);
  });
});

describe("SPM", () => {
  const pieces = {
    "▁": -9,
    a: -1,
    b: -2,
    c: -3,
    ab: -4,
    bc: -3.5,
    abc: -6,
    "▁a": -5,
    é: -7,
    aa: -8,
  };
  const plain = createTokenizer(spmMetadata(pieces, { add_space_prefix: false }));
  const encode = (text: string): string[] =>
    Array.from(plain.encode(text), (token) => plain.piece(token));

  test("merges the highest score first, whatever lies left", () => {
    expect(encode("abc")).toEqual(["abc"]);
    const withoutAbc = createTokenizer(
      spmMetadata({ a: -1, b: -2, c: -3, ab: -4, bc: -3.5 }, { add_space_prefix: false }),
    );
    expect(Array.from(withoutAbc.encode("abc"), (id) => withoutAbc.piece(id))).toEqual(["a", "bc"]);
  });

  test("of equal scores the leftmost merges first", () => {
    expect(encode("aaa")).toEqual(["aa", "a"]);
    expect(encode("aaaaa")).toEqual(["aa", "aa", "a"]);
  });

  test("characters outside the vocabulary become byte tokens", () => {
    expect(encode("a😀é")).toEqual(["a", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>", "é"]);
    expect(plain.decode(plain.encode("a😀é"))).toBe("a😀é");
  });

  test("add_space_prefix puts a space in front of text, also after special tokens", () => {
    const prefixing = createTokenizer(spmMetadata(pieces));
    const ids = prefixing.encode("a<s>a", { parseSpecial: true });
    expect(Array.from(ids, (id) => prefixing.piece(id))).toEqual(["▁a", "<s>", "▁a"]);
    expect(prefixing.decode(prefixing.encode("a a"))).toBe("a a");
  });

  test("decode(encode(s)) = s over random unicode", () => {
    const rng = new Rng(seedOf("spm"));
    for (let i = 0; i < 300; i++) {
      const text = randomText(rng, rng.integer(0, 60)).replaceAll("▁", "");
      expect(plain.decode(plain.encode(text)), `seed ${rng.seed}, text ${i}`).toBe(text);
    }
  });

  test("100,000 characters without a space encode in well under a second", () => {
    const begin = performance.now();
    expect(plain.encode("ab".repeat(50_000)).length).toBe(50_000);
    expect(performance.now() - begin).toBeLessThan(2_000);
  });
});

describe("special tokens", () => {
  const specials = { "<|im_start|>": control, "<|im_end|>": control, "<tool>": userDefined };
  const tokenizer = createTokenizer(
    bpeMetadata(MERGES, specials, { bos_token_id: 262, eos_token_id: 263, add_bos_token: true }),
  );

  test("control tokens in a text are text unless parsed", () => {
    expect(tokenizer.encode("<|im_end|>").length).toBe(10);
    expect([...tokenizer.encode("<|im_end|>", { parseSpecial: true })]).toEqual([263]);
  });

  test("user-defined tokens are always tokens", () => {
    expect([...tokenizer.encode("a<tool>b")]).toEqual([97, 264, 98]);
  });

  test("end-of-turn texts are control tokens even where the file says user-defined", () => {
    const forged = createTokenizer(bpeMetadata([], { "<end_of_turn>": userDefined }));
    expect(forged.encode("<end_of_turn>").length).toBe(13);
    expect([...forged.stopTokens]).toEqual([256]);
  });

  test("the longest token takes its places first, not the leftmost", () => {
    const overlapping = createTokenizer(bpeMetadata([], { ab: userDefined, bcd: userDefined }));
    expect([...overlapping.encode("abcd")]).toEqual([97, 257]);
  });

  test("addBos adds bos only where the model wants it", () => {
    expect([...tokenizer.encode("a", { addBos: true })]).toEqual([262, 97]);
    expect([...tokenizer.encode("", { addBos: true })]).toEqual([262]);
    const without = createTokenizer(bpeMetadata(MERGES, specials, { bos_token_id: 262 }));
    expect([...without.encode("a", { addBos: true })]).toEqual([97]);
  });

  test("keepSpecial false leaves control tokens out, user-defined ones in", () => {
    expect(tokenizer.decode([262, 97, 264, 263])).toBe("<|im_start|>a<tool><|im_end|>");
    expect(tokenizer.decode([262, 97, 264, 263], { keepSpecial: false })).toBe("a<tool>");
    expect([262, 263, 264, 97].map(tokenizer.isSpecial)).toEqual([true, true, false, false]);
  });

  test("stopTokens hold eos, eot, eom and known end-of-turn texts", () => {
    const many = { "<e>": control, "<t>": control, "<m>": control, "<|eot_id|>": control };
    const stopping = createTokenizer(
      bpeMetadata([], many, { eos_token_id: 256, eot_token_id: 257, eom_token_id: 258 }),
    );
    expect([...stopping.stopTokens].sort()).toEqual([256, 257, 258, 259]);
  });

  test("decode of a token outside the vocabulary throws RangeError", () => {
    expect(() => tokenizer.decode([265])).toThrow(RangeError);
    expect(tokenizer.piece(265)).toBe("");
  });
});

describe("hash", () => {
  const hash = (merges: string[], extra = {}): string =>
    createTokenizer(bpeMetadata(merges, {}, extra)).hash;

  test("is 64 hex digits and the same for the same file", () => {
    expect(hash(MERGES)).toMatch(/^[0-9a-f]{64}$/);
    expect(hash(MERGES)).toBe(hash(MERGES));
  });

  test("changes with merges and settings", () => {
    expect(
      new Set([hash(MERGES), hash(MERGES.slice(1)), hash(MERGES, { pre: "qwen2" })]).size,
    ).toBe(3);
  });
});

describe("what can't be read", () => {
  test.each([
    [
      "model",
      "bert",
      "unsupported-model",
      /tokenizer model must be one of gpt2, llama, gemma, got "bert"/,
    ],
    [
      "pre",
      "tekken",
      "unsupported-model",
      /pre-tokenizer must be one of default, gpt-2.*got "tekken"/,
    ],
    ["tokens", undefined, "bad-gguf", /tokenizer\.ggml\.tokens must be an array of strings/],
    ["merges", [1], "bad-gguf", /tokenizer\.ggml\.merges must be an array of strings/],
    ["token_type", Int32Array.of(1), "bad-gguf", /token_type must hold 256 numbers, got 1/],
    ["eos_token_id", "2", "bad-gguf", /eos_token_id must be an integer/],
    ["add_bos_token", 1, "bad-gguf", /add_bos_token must be a boolean/],
  ])("%s = %j: %s", (key, value, code, message) => {
    const metadata = bpeMetadata([]);
    if (value === undefined) metadata.delete(`tokenizer.ggml.${key}`);
    else metadata.set(`tokenizer.ggml.${key}`, value);
    const error = errorOf(() => createTokenizer(metadata));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  test("SPM without scores is refused", () => {
    const metadata = spmMetadata({ a: 0 });
    metadata.delete("tokenizer.ggml.scores");
    expect(errorOf(() => createTokenizer(metadata)).code).toBe("bad-gguf");
  });
});
