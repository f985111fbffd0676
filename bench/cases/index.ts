import type { BenchCase } from "./case.ts";
import { contexts } from "./contexts.ts";
import { compressedDecode, decode } from "./decode.ts";
import { gpuDecode } from "./gpu/decode.ts";
import { gpuLimit } from "./gpu/limits.ts";
import { gpuPrefill } from "./gpu/prefill.ts";
import { load } from "./load.ts";
import { longChat } from "./long-chat.ts";
import { memory } from "./memory.ts";
import { prefill } from "./prefill.ts";
import { quality } from "./quality.ts";
import { sampling } from "./sampling.ts";
import { selection } from "./selection.ts";
import { speed } from "./speed.ts";
import { bits } from "./same/bits.ts";
import { text } from "./same/text.ts";

export const cases: readonly BenchCase[] = [
  speed,
  decode,
  compressedDecode,
  prefill,
  load,
  sampling,
  selection,
  memory,
  quality,
  longChat,
  contexts,
  bits,
  text,
  gpuLimit,
  gpuDecode,
  gpuPrefill,
];

/** Those that a run does which names none: what takes long or needs a GPU is asked for. */
export const usualCases: readonly BenchCase[] = [
  decode,
  compressedDecode,
  prefill,
  load,
  sampling,
  selection,
  memory,
];

/** @throws {RangeError} For an unknown name. */
export function caseNamed(name: string): BenchCase {
  const found = cases.find((one) => one.name === name);
  if (found !== undefined) return found;
  const known = cases.map((one) => one.name).join(", ");
  throw new RangeError(`Cannot find case "${name}": known are ${known}`);
}
