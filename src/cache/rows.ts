// The buffers of one layer's rows and the account of their bytes. Only kv-cache.ts uses this.
import { assert } from "../errors.ts";
import type { CodecName, Engine, EngineBuffer, LayerRows } from "../engine/engine.ts";
import { codecs, layOutHeads, POSITION_BYTES } from "./layout.ts";
import { keepPositions, listPositions, noPositions, type RowPositions } from "./row-positions.ts";

/** The part of the engine that stores rows. */
export type RowEngine = Pick<
  Engine,
  "alloc" | "free" | "copy" | "read" | "gatherRows" | "rotateRows"
>;

/** Stands where nothing is allocated; no op may see it. */
const NONE: EngineBuffer = { label: "none", byteLength: 0 };

/** Mutable rows of one layer. The object and its three arrays stay, the buffers come and go. */
export class Rows implements LayerRows {
  keys: EngineBuffer = NONE;
  values: EngineBuffer = NONE;
  positions: EngineBuffer = NONE;
  readonly codec: CodecName;
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly start: Uint32Array;
  readonly length: Uint32Array;
  readonly capacity: Uint32Array;
  /** Per head: what the host knows of the positions. */
  readonly known: RowPositions[];
  /** Per head: where the oldest row is rotated to; undefined while rows lie at their positions. */
  readonly turnedTo: (number | undefined)[];

  constructor(codec: CodecName, nKvHeads: number, headDim: number) {
    this.codec = codec;
    this.nKvHeads = nKvHeads;
    this.headDim = headDim;
    this.start = new Uint32Array(nKvHeads);
    this.length = new Uint32Array(nKvHeads);
    this.capacity = new Uint32Array(nKvHeads);
    this.known = new Array<RowPositions>(nKvHeads).fill(noPositions);
    this.turnedTo = new Array<number | undefined>(nKvHeads).fill(undefined);
  }

  get byteLength(): number {
    return this.keys.byteLength + this.values.byteLength + this.positions.byteLength;
  }

  get nRows(): number {
    return this.length.reduce((sum, n) => sum + n, 0);
  }

  /** u32[length[h]] per head: the original positions, a fresh array each. */
  listPositions(): Uint32Array[] {
    return this.known.map((positions, head) => listPositions(positions, this.length[head] ?? 0));
  }

  /** Takes over the buffers and the state of `other`, which holds nothing afterwards. */
  become(other: Rows): void {
    assert(this.keys === NONE, "rows are freed or moved before they are replaced");
    this.keys = other.keys;
    this.values = other.values;
    this.positions = other.positions;
    this.start.set(other.start);
    this.length.set(other.length);
    this.capacity.set(other.capacity);
    other.known.forEach((positions, head) => (this.known[head] = positions));
    other.turnedTo.forEach((position, head) => (this.turnedTo[head] = position));
    other.clear();
  }

  /** Forgets buffers and rows; the buffers must have been freed or handed on. */
  clear(): void {
    this.keys = NONE;
    this.values = NONE;
    this.positions = NONE;
    this.start.fill(0);
    this.length.fill(0);
    this.capacity.fill(0);
    this.known.fill(noPositions);
    this.turnedTo.fill(undefined);
  }

  /** The position that the oldest row of any head is rotated to, or one before it; Infinity: no row. */
  get oldest(): number {
    const perHead = this.known.map(({ list, runStart }, head) =>
      this.length[head] === 0 ? Infinity : (this.turnedTo[head] ?? list[0] ?? runStart),
    );
    return Math.min(...perHead);
  }
}

/** Allocates, moves and frees rows, and knows how many bytes they take. */
export class RowStore {
  readonly #engine: RowEngine;
  #bytes = 0;
  #peakBytes = 0;

  constructor(engine: RowEngine) {
    this.#engine = engine;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** Gives empty `rows` room for `capacity` rows per head; on failure nothing stays allocated. */
  allocate(rows: Rows, capacity: Uint32Array, label: string): void {
    assert(rows.keys === NONE, "rows are freed before they are allocated again");
    const nRows = layOutHeads(rows.start, capacity);
    const codec = codecs[rows.codec];
    // Extras lie behind the rows of the same buffer: a codec without them needs no third place.
    const extraBytes = capacity.reduce((sum, n) => sum + codec.extraBytes(rows.headDim, n), 0);
    const rowsBytes = nRows * codec.rowBytes(rows.headDim) + extraBytes;
    if (nRows === 0) return;
    const made: EngineBuffer[] = [];
    try {
      for (const [name, byteLength] of [
        ["keys", rowsBytes],
        ["values", rowsBytes],
        ["positions", nRows * POSITION_BYTES],
      ] as const) {
        made.push(this.#engine.alloc(byteLength, `${label}.${name}`));
      }
    } catch (error) {
      for (const buffer of made) this.#engine.free(buffer);
      rows.start.fill(0);
      throw error;
    }
    [rows.keys, rows.values, rows.positions] = made as [EngineBuffer, EngineBuffer, EngineBuffer];
    rows.capacity.set(capacity);
    this.#bytes += rows.byteLength;
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
  }

  /** Frees the buffers of `rows` and leaves it empty. */
  release(rows: Rows): void {
    this.#bytes -= rows.byteLength;
    for (const buffer of [rows.keys, rows.values, rows.positions]) {
      if (buffer !== NONE) this.#engine.free(buffer);
    }
    rows.clear();
  }

  /** Copies rows `keep` (null: all) of `src` to the empty `dst`, or compacts when both are one. */
  transfer(dst: Rows, src: Rows, keep: readonly Uint32Array[] | null): void {
    const known = src.known.map((positions, head) => {
      const rows = keep?.[head];
      return rows === undefined ? positions : keepPositions(positions, src.length[head] ?? 0, rows);
    });
    if (src.keys === NONE) assert(src.nRows === 0, "rows have buffers");
    else if (keep !== null) this.#engine.gatherRows(dst, src, keep);
    else if (dst.codec === src.codec) this.#copyAll(dst, src);
    else this.#engine.gatherRows(dst, src, Array.from(src.length, identity));
    known.forEach((positions, head) => (dst.known[head] = positions));
    src.turnedTo.forEach((position, head) => (dst.turnedTo[head] = position));
  }

  /** Needs no index lists, unlike a gather; the codecs are the same. */
  #copyAll(dst: Rows, src: Rows): void {
    const rowBytes = codecs[src.codec].rowBytes(src.headDim);
    for (let head = 0; head < src.nKvHeads; head++) {
      const nRows = src.length[head] ?? 0;
      const [to, from] = [dst.start[head] ?? 0, src.start[head] ?? 0];
      if (nRows > 0) {
        const engine = this.#engine;
        engine.copy(dst.keys, to * rowBytes, src.keys, from * rowBytes, nRows * rowBytes);
        engine.copy(dst.values, to * rowBytes, src.values, from * rowBytes, nRows * rowBytes);
        engine.copy(
          dst.positions,
          to * POSITION_BYTES,
          src.positions,
          from * POSITION_BYTES,
          nRows * POSITION_BYTES,
        );
      }
      dst.length[head] = nRows;
    }
  }
}

function identity(nRows: number): Uint32Array {
  return Uint32Array.from({ length: nRows }, (_, row) => row);
}
