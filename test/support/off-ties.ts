// Inputs whose int8 codes do not hang on a last bit: two right engines must round them alike.
import { naiveRmsNorm } from "./naive.ts";
import type { Rng } from "./rng.ts";

/** Distance from a rounding tie, in steps of the int8 scale, that f32 arithmetic cannot cross. */
const MARGIN = 1e-3;

/**
 * x f32[nTokens, nCols], normal; after the norm (where one is given) no element lies within `MARGIN`
 * of a tie between two int8 codes of its block of 32.
 */
export function inputsOffTies(
  rng: Rng,
  nTokens: number,
  nCols: number,
  norm?: { readonly weight: Float32Array; readonly eps: number },
): Float32Array {
  const x = rng.normals(nTokens * nCols);
  for (let start = 0; start < x.length; start += nCols) {
    const token = x.subarray(start, start + nCols);
    for (let round = 0; round < 50 && nudge(token, norm); round++);
  }
  return x;
}

/** Moves the elements that lie near a tie by 0.4 %; true where there were any. */
function nudge(
  token: Float32Array,
  norm?: { readonly weight: Float32Array; readonly eps: number },
): boolean {
  const input = norm ? naiveRmsNorm(token, norm.weight, norm.eps) : token;
  let isMoved = false;
  for (let start = 0; start < token.length; start += 32) {
    const block = Array.from(input.subarray(start, start + 32));
    const scale = Math.max(...block.map(Math.abs)) / 127;
    block.forEach((value, i) => {
      const level = Math.abs(value) / scale;
      if (Math.abs(level - Math.floor(level) - 0.5) > MARGIN) return;
      token[start + i] = (token[start + i] as number) * 0.996;
      isMoved = true;
    });
  }
  return isMoved;
}
