import { beforeAll, describe, expect, test } from "vitest";
import { createTokenizer } from "../../../src/tokenizer/from-gguf.ts";
import type { Tokenizer } from "../../../src/tokenizer/tokenizer.ts";
import { readMetadata, requireModel } from "../../support/models.ts";
import { Rng, seedOf } from "../../support/rng.ts";
import { randomText } from "../../support/random-text.ts";
import { bpeMetadata, spmMetadata } from "../../support/tokenizers.ts";

function stream(tokenizer: Tokenizer, ids: ArrayLike<number>, keepSpecial: boolean): string[] {
  const decoder = tokenizer.decodeStream({ keepSpecial });
  const pieces = Array.from(ids, (id) => decoder.push(id));
  return [...pieces, decoder.end()];
}

describe("decodeStream", () => {
  const bytes = createTokenizer(bpeMetadata([])); // one token per byte

  test("a character comes out whole, with its last byte", () => {
    expect(stream(bytes, bytes.encode("é€😀"), true)).toEqual([
      "",
      "é",
      "",
      "",
      "€",
      "",
      "",
      "",
      "😀",
      "",
    ]);
  });

  test("an unfinished character becomes U+FFFD at the end", () => {
    expect(stream(bytes, bytes.encode("a😀").slice(0, 3), true)).toEqual(["a", "", "", "\uFFFD"]);
  });

  test("broken bytes become U+FFFD as soon as they are known to be broken", () => {
    const [first = 0] = bytes.encode("é");
    expect(stream(bytes, [first, first, 0x61], true).join("")).toBe("\uFFFD\uFFFDa");
  });

  test("a byte order mark is kept", () => {
    expect(bytes.decode(bytes.encode("\uFEFFa"))).toBe("\uFEFFa");
  });

  test("only the first space of a text is taken off again", () => {
    const spm = createTokenizer(spmMetadata({ "▁": 0, a: 0 }));
    expect(stream(spm, spm.encode("a a"), true).join("")).toBe("a a");
    expect(stream(spm, spm.encode(" a"), true).join("")).toBe(" a");
  });

  test("random bytes: the pieces add up to the whole, and hold no half character", () => {
    const rng = new Rng(seedOf("random bytes"));
    for (let i = 0; i < 100; i++) {
      const ids = Array.from({ length: 40 }, () => rng.integer(0, 256));
      const pieces = stream(bytes, ids, true);
      expect(pieces.join(""), `seed ${rng.seed}, case ${i}`).toBe(bytes.decode(ids));
      for (const piece of pieces) expect(piece).not.toMatch(/\p{Surrogate}/u);
    }
  });
});

for (const model of ["smollm2", "gemma3-270m"] as const) {
  describe(`${model}: stream = whole`, () => {
    let tokenizer: Tokenizer;
    beforeAll(async () => {
      tokenizer = createTokenizer(await readMetadata(requireModel(model)));
    });

    test.each([true, false])("random tokens, keepSpecial %s", (keepSpecial) => {
      const rng = new Rng(seedOf(model));
      for (let i = 0; i < 50; i++) {
        const ids = Array.from({ length: 50 }, () => rng.integer(0, tokenizer.vocabSize));
        const text = stream(tokenizer, ids, keepSpecial).join("");
        expect(text, `seed ${rng.seed}, case ${i}`).toBe(tokenizer.decode(ids, { keepSpecial }));
      }
    });

    test("random texts come back", () => {
      const rng = new Rng(seedOf(`${model} texts`));
      for (let i = 0; i < 100; i++) {
        // SmolLM2 has no token for some bytes (control characters, bytes of the rarest planes);
        // Gemma writes "▁" for a space.
        const text = randomText(rng, 40).replace(/[\p{Cc}\p{Cn}\p{Co}▁]/gu, "");
        const ids = tokenizer.encode(text);
        if (model === "gemma3-270m") expect(tokenizer.decode(ids), `case ${i}`).toBe(text);
        expect(stream(tokenizer, ids, true).join("")).toBe(tokenizer.decode(ids));
      }
    });
  });
}
