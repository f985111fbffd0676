// The KV cache as data: ragged rows per (layer, kv head) with their original positions. It obeys keep
// lists; it scores nothing and decides nothing. prefill.ts, decode.ts and compress.ts call it.
//
// Phases of a layer in prefill: openLayer -> engine.ropeAppend per chunk -> closeLayer. When every
// layer is closed: advance(n), releaseStaging(). After an abort in between: abandon(seen).
import { assert, KvasirError } from "../errors.ts";
import type { CodecName, LayerRows, RopeFrequencies, RopeShape } from "../engine/engine.ts";
import type { CacheUsage } from "../types.ts";
import { codecs, layOutHeads, PAGE_ROWS, POSITION_BYTES, rowByteLength } from "./layout.ts";
import { truncatePositions } from "./row-positions.ts";
import { type RowEngine, Rows, RowStore } from "./rows.ts";

export interface KvCacheOptions {
  readonly nLayers: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly codec: CodecName;
  /** Rows per head kept free after a prompt, so that decode does not grow the buffers. */
  readonly headroom: number;
  /**
   * Hold a layer's earlier rows until the prompt is finished when compression drops some of them, so
   * that `abandon` brings them back. Costs that memory for that time, only after the first prompt;
   * without it `abandon` leaves such rows dropped. Default true.
   */
  readonly canRestore?: boolean;
}

const NOT_STAGED = -1;
/** The layer whose rows are chosen from, and the next. */
const MAX_STAGED = 2;

interface Staging {
  readonly rows: Rows;
  /** Room, over all heads. */
  nRows: number;
  layer: number;
}

export class KvCache {
  readonly codec: CodecName;
  readonly nLayers: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly headroom: number;
  readonly #engine: RowEngine;
  readonly #store: RowStore;
  readonly #layers: readonly Rows[];
  /** Per layer: what it held before the prompt, where compression dropped part of that. */
  readonly #before: (Rows | undefined)[];
  readonly #canRestore: boolean;
  readonly #stagings: Staging[] = [];
  #seen = 0;
  #isDisposed = false;

  constructor(engine: RowEngine, options: KvCacheOptions) {
    const { nLayers, nKvHeads, headDim, codec } = options;
    this.#engine = engine;
    this.#store = new RowStore(engine);
    this.codec = codec;
    this.nLayers = nLayers;
    this.nKvHeads = nKvHeads;
    this.headDim = headDim;
    this.headroom = options.headroom;
    this.#canRestore = options.canRestore ?? true;
    this.#layers = Array.from({ length: nLayers }, () => new Rows(codec, nKvHeads, headDim));
    this.#before = new Array<Rows | undefined>(nLayers).fill(undefined);
  }

  /** Tokens seen: the position of the next one, whatever was dropped since. */
  get seen(): number {
    return this.#seen;
  }

  advance(nTokens: number): void {
    this.#seen += nTokens;
  }

  /** The rows of layer `l`: the same object for the life of the cache; its buffers may change. */
  layer(l: number): LayerRows {
    return this.#rows(l);
  }

  /** The rows that prefill appends to: the staging area while layer `l` is staged, else its own. */
  openRows(l: number): LayerRows {
    return this.#staged(l)?.rows ?? this.#rows(l);
  }

  /**
   * Makes room for `nNew` rows per head. With `compress` in a staging area, with the layer's rows
   * copied there and its own buffers untouched until `closeLayer`. There is one for all layers, and
   * a second where a layer is opened before the one before is closed.
   * @throws {KvasirError} `out-of-memory`; the layers are as they were.
   */
  openLayer(l: number, nNew: number, { compress }: { readonly compress: boolean }): LayerRows {
    this.#check();
    const layer = this.#rows(l);
    if (compress) return this.#stage(l, layer, nNew);
    if (!hasRoom(layer, nNew)) this.#rebuild(l, layer, null, nNew + this.headroom);
    return layer;
  }

  /**
   * Keeps rows `keep[h]` (ascending row indices of `openRows(l)`) of each head, or all for null.
   * A staged layer gets buffers of exactly the kept rows plus headroom.
   * @throws {KvasirError} `out-of-memory`; the layer holds its rows from before `openLayer`.
   */
  closeLayer(l: number, keep: readonly Uint32Array[] | null): void {
    const staging = this.#staged(l);
    if (staging === undefined) {
      if (keep !== null) this.compact(l, keep);
      return;
    }
    this.#check();
    this.#rebuild(l, staging.rows, keep, this.headroom);
    staging.layer = NOT_STAGED;
  }

  /** Ends a prompt: frees the staging area and what `abandon` would have needed. */
  releaseStaging(): void {
    this.#dropStaging();
    for (const [l, before] of this.#before.entries()) {
      if (before !== undefined) this.#store.release(before);
      this.#before[l] = undefined;
    }
  }

  /**
   * Makes sure that every head can take `nRows` more, growing short layers by copy, one at a time.
   * A growth adds at least the headroom, so that it is never needed at each step.
   * @throws {KvasirError} `out-of-memory`; all rows are as they were, some layers may have grown.
   */
  reserve(nRows: number): void {
    this.#check();
    for (const [l, layer] of this.#layers.entries()) {
      if (!hasRoom(layer, nRows)) this.#rebuild(l, layer, null, Math.max(nRows, this.headroom));
    }
  }

  /**
   * Keeps rows `keep[h]` (ascending) of each head of layer `l`. Moves to smaller buffers when more
   * than a page of rows would lie idle beyond the headroom; in place otherwise, or if that fails.
   */
  compact(l: number, keep: readonly Uint32Array[]): void {
    this.#check();
    const layer = this.#rows(l);
    assert(keep.length === layer.nKvHeads, "one keep list per kv head");
    const nKept = keep.reduce((sum, rows) => sum + rows.length, 0);
    const isSmaller = this.#idleRows(layer, nKept) > PAGE_ROWS && this.#tryRebuild(l, keep);
    if (!isSmaller) this.#store.transfer(layer, layer, keep);
  }

  /**
   * Rotates the keys of layer `l` to `targets[h]`, ascending, one per row and all before the next
   * position. What the host knows as positions stays: `truncate` and `knownPositions` go by them.
   */
  rerotate(
    l: number,
    targets: readonly Uint32Array[],
    frequencies: RopeFrequencies,
    ropeStyle: RopeShape["ropeStyle"],
  ): void {
    this.#check();
    const layer = this.#rows(l);
    this.#engine.rotateRows(layer, targets, frequencies, ropeStyle);
    targets.forEach(([first], head) => {
      if (first !== undefined) layer.turnedTo[head] = first;
    });
  }

  /** How far back the next query may have to look in layer `l`, tokens: never less than it is. */
  span(l: number): number {
    return Math.max(0, this.#seen - this.#rows(l).oldest);
  }

  /** Drops all rows with position >= `nSeen`, which is the next position from then on. */
  truncate(nSeen: number): void {
    this.#check();
    assert(nSeen <= this.#seen, "truncate goes back");
    this.#truncateRows(nSeen);
  }

  /**
   * Undoes a prompt that did not finish: every layer holds the rows that it had when `seen` was
   * `nSeenBefore`. New rows are the ones with later positions, so they are dropped as in
   * `truncate`, whether a layer was compressed, is staged or was not reached; where compression
   * dropped earlier rows, the buffers from before were held and return (see `canRestore`).
   */
  abandon(nSeenBefore: number): void {
    for (const [l, before] of this.#before.entries()) {
      const layer = this.#rows(l);
      if (before === undefined) continue;
      this.#store.release(layer);
      layer.become(before);
      this.#before[l] = undefined;
    }
    this.#dropStaging();
    this.#truncateRows(nSeenBefore);
    for (const [l, layer] of this.#layers.entries()) {
      if (layer.nRows === 0) this.#store.release(layer);
      else if (this.#idleRows(layer, layer.nRows) > PAGE_ROWS) this.#tryRebuild(l, null);
    }
  }

  /**
   * Exact bytes of all buffers that the cache holds on the engine: rows, positions, headroom and
   * staging. `fullBytes` counts all but staging. Not counted: the host's list of positions, at most
   * 4 bytes per row.
   *
   * @param nAhead Newest tokens whose rows are in the buffers and are not to be counted.
   */
  usage(nAhead = 0): CacheUsage {
    const fullRows = (this.#seen - nAhead) * this.nLayers * this.nKvHeads;
    const perLayer = this.#layers.map((layer, l) => ({
      bytes: layer.byteLength + (this.#before[l]?.byteLength ?? 0),
      rows: Array.from(layer.length, (n) => n - nAhead),
    }));
    // Of a cache that drops nothing, as it is after a prompt.
    const spare = fullRows === 0 ? 0 : this.nLayers * this.nKvHeads * this.headroom;
    return {
      fullBytes: (fullRows + spare) * rowByteLength(this.codec, this.headDim),
      bytes: this.#store.bytes,
      peakBytes: this.#store.peakBytes,
      keptRows: this.#layers.reduce((sum, layer) => sum + layer.nRows - nAhead * layer.nKvHeads, 0),
      fullRows,
      perLayer,
    };
  }

  /** Where the rows of layer `l` are rotated to, per head: their positions, unless re-rotated. */
  async keptPositions(l: number): Promise<Uint32Array[]> {
    const layer = this.#rows(l);
    const lengths = Array.from(layer.length);
    const reads = lengths.map(async (nRows, head) => {
      if (nRows === 0) return new Uint32Array(0);
      const byteOffset = (layer.start[head] ?? 0) * POSITION_BYTES;
      const bytes = await this.#engine.read(layer.positions, byteOffset, nRows * POSITION_BYTES);
      return new Uint32Array(bytes.slice().buffer);
    });
    return Promise.all(reads);
  }

  /** The original positions of the rows of `openRows(l)`, per head; costs no read. */
  knownPositions(l: number): Uint32Array[] {
    return (this.#staged(l)?.rows ?? this.#rows(l)).listPositions();
  }

  /** For snapshot.ts: the rows themselves. */
  get rows(): readonly Rows[] {
    this.#check();
    return this.#layers;
  }

  /** For snapshot.ts: fills the layers of an empty cache, all or, after an error, none. */
  fill(seen: number, fill: (layer: Rows, l: number, store: RowStore) => void): void {
    this.#check();
    assert(this.#seen === 0, "the cache is empty");
    try {
      for (const [l, layer] of this.#layers.entries()) fill(layer, l, this.#store);
      this.#seen = seen;
    } catch (error) {
      this.reset();
      throw error;
    }
  }

  /** Forgets all rows and frees all buffers. */
  reset(): void {
    this.releaseStaging();
    for (const layer of this.#layers) this.#store.release(layer);
    this.#seen = 0;
  }

  /** Frees everything. Calling it again does nothing. */
  dispose(): void {
    this.reset();
    this.#isDisposed = true;
  }

  #check(): void {
    if (this.#isDisposed) {
      throw new KvasirError("disposed", "Cannot use the cache: it was disposed");
    }
  }

  #rows(l: number): Rows {
    const layer = this.#layers[l];
    assert(layer !== undefined, `layer ${l} exists`);
    return layer;
  }

  #staged(l: number): Staging | undefined {
    return this.#stagings.find((staging) => staging.layer === l);
  }

  #stage(l: number, layer: Rows, nNew: number): Rows {
    const staging = this.#freeStaging();
    const { rows } = staging;
    const capacity = layer.length.map((n) => n + nNew);
    const nRows = capacity.reduce((sum, n) => sum + n, 0);
    if (nRows > staging.nRows) {
      this.#store.release(rows);
      staging.nRows = 0;
      this.#store.allocate(rows, capacity, "cache.staging");
      staging.nRows = nRows;
    } else {
      rows.length.fill(0);
      rows.capacity.set(capacity);
      layOutHeads(rows.start, capacity);
    }
    this.#store.transfer(rows, layer, null);
    staging.layer = l;
    return rows;
  }

  #freeStaging(): Staging {
    const free = this.#staged(NOT_STAGED);
    if (free !== undefined) return free;
    assert(this.#stagings.length < MAX_STAGED, `${MAX_STAGED} layers are staged at a time`);
    const rows = new Rows(codecs[this.codec].staging, this.nKvHeads, this.headDim);
    const staging = { rows, nRows: 0, layer: NOT_STAGED };
    this.#stagings.push(staging);
    return staging;
  }

  #dropStaging(): void {
    for (const { rows } of this.#stagings) this.#store.release(rows);
    this.#stagings.length = 0;
  }

  /** Replaces layer `l`'s buffers by ones with rows `keep` of `source` and `extra` rows per head. */
  #rebuild(l: number, source: Rows, keep: readonly Uint32Array[] | null, extra: number): void {
    const layer = this.#rows(l);
    const target = new Rows(layer.codec, layer.nKvHeads, layer.headDim);
    const capacity = source.length.map((n, head) => (keep?.[head]?.length ?? n) + extra);
    this.#store.allocate(target, capacity, `cache.${l}`);
    try {
      this.#store.transfer(target, source, keep);
    } catch (error) {
      this.#store.release(target);
      throw error;
    }
    if (source !== layer && this.#canRestore && dropsFirst(layer.length, keep)) {
      const before = new Rows(layer.codec, layer.nKvHeads, layer.headDim);
      before.become(layer);
      this.#before[l] = before;
    } else {
      this.#store.release(layer);
    }
    layer.become(target);
  }

  /** Rebuilds to kept rows plus headroom; false when the memory for the move is not there. */
  #tryRebuild(l: number, keep: readonly Uint32Array[] | null): boolean {
    try {
      this.#rebuild(l, this.#rows(l), keep, this.headroom);
      return true;
    } catch (error) {
      if (error instanceof KvasirError && error.code === "out-of-memory") return false;
      throw error;
    }
  }

  /** Rows of capacity beyond `nRows` and the headroom. */
  #idleRows(layer: Rows, nRows: number): number {
    const capacity = layer.capacity.reduce((sum, n) => sum + n, 0);
    return capacity - nRows - layer.nKvHeads * this.headroom;
  }

  #truncateRows(nSeen: number): void {
    for (const layer of this.#layers) {
      for (const [head, known] of layer.known.entries()) {
        const left = truncatePositions(known, layer.length[head] ?? 0, nSeen);
        layer.known[head] = left.positions;
        layer.length[head] = left.nRows;
      }
    }
    this.#seen = nSeen;
  }
}

function hasRoom(rows: Rows, nMore: number): boolean {
  return rows.capacity.every((capacity, head) => capacity >= (rows.length[head] ?? 0) + nMore);
}

/** Whether some of each head's first `nRows[h]` rows are missing in `keep` (ascending). */
function dropsFirst(nRows: Uint32Array, keep: readonly Uint32Array[] | null): boolean {
  if (keep === null) return false;
  return nRows.some((n, head) => n > 0 && keep[head]?.[n - 1] !== n - 1);
}
