// What the kernels over cached rows are told about a layer: how its rows are stored and where each
// head's lie.
import { assert, KvasirError } from "../../../errors.ts";
import type { EngineBuffer, HeadShape, LayerRows } from "../../engine.ts";
import { liveBuffer } from "../device/buffers.ts";
import type { Bound, ParamWriter, Recorder } from "../device/recorder.ts";

/** Kv heads of one dispatch: what fits the parameters' slot, a vec4 each. */
export const MAX_HEADS = 12;
/** Kernels read keys and values in steps of so many channels, and hold at most so many. */
const HEAD_DIM_STEP = 8;
const MAX_HEAD_DIM = 256;

/**
 * Whether rows are stored as f16.
 * @throws {KvasirError} `unsupported-option` for other codecs than f16 and f32, `unsupported-model`
 *   for head dimensions that the kernels cannot take.
 */
export function isF16({ codec, headDim }: LayerRows): boolean {
  if (headDim % HEAD_DIM_STEP !== 0 || headDim > MAX_HEAD_DIM) {
    throw new KvasirError(
      "unsupported-model",
      `Cannot attend: the head dimension must be a multiple of ${HEAD_DIM_STEP} up to ` +
        `${MAX_HEAD_DIM} on engine "webgpu", got ${headDim}`,
    );
  }
  if (codec === "f16" || codec === "f32") return codec === "f16";
  throw new KvasirError(
    "unsupported-option",
    `Cannot store rows: engine "webgpu" has the codecs f16 and f32, got "${String(codec)}"`,
  );
}

/** Words of one key row, and of one value row. */
export function rowWords(rows: LayerRows): number {
  return isF16(rows) ? rows.headDim / 2 : rows.headDim;
}

/** All of a buffer, for a kernel that reads `wordsPerElement` words at once. */
export function bindAll(recorder: Recorder, buffer: EngineBuffer, wordsPerElement = 1): Bound {
  const bound = recorder.bind(buffer, 0, buffer.byteLength);
  if (bound.at % wordsPerElement !== 0) {
    assert(false, `"${buffer.label}" begins at a multiple of ${4 * wordsPerElement} bytes`);
  }
  return bound;
}

/** Calls `visit` with the first kv head and the number of heads of each dispatch. */
export function forHeads(nKvHeads: number, visit: (first: number, n: number) => void): void {
  for (let first = 0; first < nKvHeads; first += MAX_HEADS) {
    visit(first, Math.min(MAX_HEADS, nKvHeads - first));
  }
}

/** (start, length, 0, 0) of each head. */
export function writeHeads(params: ParamWriter, rows: LayerRows, first: number, n: number): void {
  for (let head = first; head < first + n; head++) {
    params.u32(rows.start[head] ?? 0, rows.length[head] ?? 0, 0, 0);
  }
}

export function groupsOf({ nHeads, nKvHeads }: HeadShape): number {
  const nGroups = nHeads / nKvHeads;
  if (!Number.isInteger(nGroups)) assert(false, `${nHeads} heads share ${nKvHeads} kv heads`);
  return nGroups;
}

export function longestOf({ length }: LayerRows): number {
  let longest = 0;
  for (const n of length) longest = Math.max(longest, n);
  return longest;
}

/** Throws unless every head has room for `nTokens` more rows. */
export function checkRoom(rows: LayerRows, nTokens: number): void {
  for (let head = 0; head < rows.nKvHeads; head++) {
    const [length, capacity] = [rows.length[head] ?? 0, rows.capacity[head] ?? 0];
    if (length + nTokens <= capacity) continue;
    throw new KvasirError(
      "cache-full",
      `Cannot append rows: head ${head} holds ${length} rows, capacity is ${capacity}, ` +
        `got ${nTokens} rows`,
    );
  }
}

/** Whether two buffers are the same place of the device's memory. */
export function isSamePlace(a: EngineBuffer, b: EngineBuffer): boolean {
  const [one, other] = [liveBuffer(a), liveBuffer(b)];
  return one.allocation === other.allocation && one.byteOffset === other.byteOffset;
}
