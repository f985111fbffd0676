import type { Rng } from "./rng.ts";

// What breaks tokenizers: digits, spaces of all kinds, contractions, marks, emoji, rare planes.
const RANGES = [
  [0x20, 0x7e],
  [0x20, 0x7e],
  [0x61, 0x7a],
  [0x30, 0x39],
  [0x00, 0x20],
  [0x80, 0x24f],
  [0x300, 0x36f],
  [0x400, 0x4ff],
  [0x5d0, 0x64a],
  [0x2000, 0x206f],
  [0x3000, 0x30ff],
  [0x4e00, 0x9fff],
  [0xfe00, 0xfeff],
  [0xfff0, 0xffff],
  [0x1f300, 0x1f64f],
  [0x10000, 0x10ffff],
] as const;

const PHRASES = ["'s", "'LL", "  ", "\r\n", "\n\n\n", " the", "½", "🐈‍⬛", "\uFEFF", "\u0085", "123"];

/** `n` random characters or short phrases; never half a surrogate pair. */
export function randomText(rng: Rng, n: number): string {
  return Array.from({ length: n }, () => {
    if (rng.uniform() < 0.2) return PHRASES[rng.integer(0, PHRASES.length)];
    const [low, high] = RANGES[rng.integer(0, RANGES.length)] ?? [0x20, 0x7e];
    return String.fromCodePoint(rng.integer(low, high + 1));
  }).join("");
}
