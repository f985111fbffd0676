import { expect, test } from "vitest";
import { type JoinScore, mergeSymbols } from "../../../src/tokenizer/merge-symbols.ts";
import { Rng, seedOf } from "../../support/rng.ts";

/** Looks at all neighbours before every merge. */
function naiveMerge(text: string, score: (joined: string) => number | undefined): string[] {
  const pieces = Array.from(text);
  for (;;) {
    let best = -1;
    let bestScore = -Infinity;
    for (let i = 0; i + 1 < pieces.length; i++) {
      const joined = score(`${pieces[i]}${pieces[i + 1]}`);
      if (joined !== undefined && joined > bestScore) [best, bestScore] = [i, joined];
    }
    if (best === -1) return pieces;
    pieces.splice(best, 2, `${pieces[best]}${pieces[best + 1]}`);
  }
}

/** The offsets of a text's characters, and its end. */
function boundsOf(text: string): number[] {
  let end = 0;
  return [0, ...Array.from(text, (character) => (end += character.length))];
}

test("mergeSymbols: equal to looking at all neighbours, random vocabularies with equal scores", () => {
  const rng = new Rng(seedOf("merge"));
  const letters = (n: number): string =>
    Array.from({ length: n }, () => ["a", "b", "é", "😀"][rng.integer(0, 4)]).join("");
  for (let i = 0; i < 500; i++) {
    const scores = new Map<string, number>();
    for (let n = rng.integer(1, 60); n > 0; n--) {
      scores.set(letters(rng.integer(2, 5)), rng.integer(-4, 5));
    }
    const text = letters(rng.integer(0, 40));
    const byOffsets: JoinScore = (begin, _middle, end) => scores.get(text.slice(begin, end));
    const expected = naiveMerge(text, (joined) => scores.get(joined));
    const bounds = mergeSymbols(boundsOf(text), byOffsets);
    const got = bounds.slice(1).map((end, n) => text.slice(bounds[n], end));
    expect(got, `seed ${rng.seed}, case ${i}`).toEqual(expected);
  }
});

test("mergeSymbols: the score sees where the two halves meet", () => {
  const text = "abc";
  const meetings: string[] = [];
  mergeSymbols(boundsOf(text), (begin, middle, end) => {
    meetings.push(`${text.slice(begin, middle)}+${text.slice(middle, end)}`);
    return begin;
  });
  expect(meetings).toEqual(["a+b", "b+c", "a+bc"]);
});
