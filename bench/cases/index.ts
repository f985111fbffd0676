import type { BenchCase } from "./case.ts";
import { compressedDecode, decode } from "./decode.ts";
import { load } from "./load.ts";
import { longChat } from "./long-chat.ts";
import { memory } from "./memory.ts";
import { prefill } from "./prefill.ts";
import { quality } from "./quality.ts";
import { sampling } from "./sampling.ts";
import { selection } from "./selection.ts";
import { speed } from "./speed.ts";

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
];

/** @throws {RangeError} For an unknown name. */
export function caseNamed(name: string): BenchCase {
  const found = cases.find((one) => one.name === name);
  if (found !== undefined) return found;
  const known = cases.map((one) => one.name).join(", ");
  throw new RangeError(`Cannot find case "${name}": known are ${known}`);
}
