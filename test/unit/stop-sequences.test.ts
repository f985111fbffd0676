import { describe, expect, test } from "vitest";
import { createStopSequences } from "../../src/session/stop-sequences.ts";
import { Rng, seedOf } from "../support/rng.ts";

/** What is shown after each piece, then what the end gives; "#" where it stopped. */
function run(stop: string | readonly string[] | undefined, pieces: readonly string[]): string[] {
  const stops = createStopSequences(stop);
  const shown: string[] = [];
  for (const piece of pieces) {
    const { text, isStopped } = stops.push(piece);
    shown.push(text);
    if (isStopped) return [...shown, "#"];
  }
  return [...shown, stops.end()];
}

describe("createStopSequences", () => {
  test("without stop texts everything passes at once", () => {
    expect(run(undefined, ["a", "", "b"])).toEqual(["a", "", "b", ""]);
  });

  test("cuts before the stop text", () => {
    expect(run("END", ["one END two"])).toEqual(["one ", "#"]);
  });

  test("holds back what may become a stop text, over many tokens", () => {
    expect(run("\n\nUser:", ["Hi\n", "\n", "Us", "er", ":", "x"])).toEqual([
      "Hi",
      "",
      "",
      "",
      "",
      "#",
    ]);
  });

  test("lets go of what did not become one", () => {
    expect(run("\n\nUser:", ["Hi\n", "\nU", "ps"])).toEqual(["Hi", "", "\n\nUps", ""]);
    expect(run("END", ["the EN"])).toEqual(["the ", "EN"]);
  });

  test("a beginning inside a beginning: aab in aaab", () => {
    expect(run("aab", ["a", "a", "a", "b"])).toEqual(["", "", "a", "", "#"]);
  });

  test("overlapping stop texts: the one complete first wins", () => {
    expect(run(["abcd", "bc"], ["a", "b", "c", "d"])).toEqual(["", "", "a", "#"]);
    expect(run(["abcd", "bc"], ["abcd"])).toEqual(["a", "#"]);
  });

  test("complete at the same character: the longest wins", () => {
    expect(run(["c", "abc"], ["xabc"])).toEqual(["x", "#"]);
  });

  test("unicode, also cut between the halves of a pair", () => {
    expect(run("🛑", ["go 🛑 x"])).toEqual(["go ", "#"]);
    expect(run("🛑", ["go \uD83D", "\uDED1", "x"])).toEqual(["go ", "", "#"]);
    expect(run("é。", ["café", "。x"])).toEqual(["caf", "", "#"]);
  });

  test("nothing comes after the stop", () => {
    const stops = createStopSequences("x");
    expect(stops.push("axb")).toEqual({ text: "a", isStopped: true });
    expect(stops.push("c")).toEqual({ text: "", isStopped: true });
    expect(stops.end()).toBe("");
  });

  test("an empty stop text is refused", () => {
    expect(() => createStopSequences(["a", ""])).toThrow("a stop text must not be empty");
  });

  test("random texts: the pieces they come in make no difference", () => {
    const rng = new Rng(seedOf("stop"));
    const letters = (n: number): string =>
      Array.from({ length: n }, () => "ab"[rng.integer(0, 2)] ?? "").join("");
    for (let i = 0; i < 500; i++) {
      const stop = Array.from({ length: rng.integer(1, 4) }, () => letters(rng.integer(2, 6)));
      const text = letters(rng.integer(0, 30));
      const pieces: string[] = [];
      for (let at = 0; at < text.length;) {
        const end = at + rng.integer(1, 5);
        pieces.push(text.slice(at, end));
        at = end;
      }
      const whole = run(stop, [text]).join("");
      expect(run(stop, pieces).join(""), `seed ${rng.seed}, case ${i}`).toBe(whole);
    }
  });
});
