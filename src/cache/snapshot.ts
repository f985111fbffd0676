// A cache's rows as bytes on the host, and back; and copies on the engine. The bytes are those of the
// codec, head after head without gaps, so that they mean the same on every engine.
import { assert, KvasirError } from "../errors.ts";
import type { CodecName, Engine } from "../engine/engine.ts";
import type { KvCache } from "./kv-cache.ts";
import { POSITION_BYTES } from "./layout.ts";
import { storedPositions } from "./row-positions.ts";
import { type RowEngine, Rows, RowStore } from "./rows.ts";

export type SnapshotEngine = RowEngine & Pick<Engine, "write">;

export interface SavedCache {
  readonly codec: CodecName;
  readonly nKvHeads: number;
  readonly headDim: number;
  /** Tokens seen: the position of the next one. */
  readonly seen: number;
  readonly layers: readonly SavedLayer[];
}

export interface SavedLayer {
  /** u32[nKvHeads]: rows of each head. */
  readonly length: Uint32Array;
  /** u32[nKvHeads]: rows that each head has room for; when a session must make room depends on it. */
  readonly capacity: Uint32Array;
  /** codec[nRows, headDim]; the codec's extras behind. */
  readonly keys: Uint8Array;
  readonly values: Uint8Array;
  /** u32[nRows]: where the keys are rotated to. */
  readonly positions: Uint32Array;
  /** u32[nRows]: original positions; null where they are the same. */
  readonly known: Uint32Array | null;
  /** Per head: where the oldest row is rotated to; undefined while rows lie at their positions. */
  readonly turnedTo: readonly (number | undefined)[];
}

/**
 * Copies rows, room and positions to an empty cache of the same engine, shape and codec.
 * @throws {KvasirError} `out-of-memory`; the cache is empty then.
 */
export function copyCache(to: KvCache, from: KvCache): void {
  to.fill(from.seen, (layer, l, store) => {
    const source = from.rows[l];
    assert(source !== undefined, "both caches have the same layers");
    store.allocate(layer, source.capacity, `cache.${l}`);
    store.transfer(layer, source, null);
  });
}

/** All rows as bytes. One layer at a time is copied on the engine, which is not counted as usage. */
export async function saveCache(cache: KvCache, engine: SnapshotEngine): Promise<SavedCache> {
  const { codec, nKvHeads, headDim, seen } = cache;
  const layers: SavedLayer[] = [];
  for (const rows of cache.rows) layers.push(await saveRows(engine, rows));
  return { codec, nKvHeads, headDim, seen, layers };
}

/**
 * Gives an empty cache of the same shape and codec what was saved, on this engine or another.
 * @throws {KvasirError} `bad-snapshot` for what does not fit together, `out-of-memory`; the cache is
 *   empty then.
 */
export function restoreCache(cache: KvCache, engine: SnapshotEngine, saved: SavedCache): void {
  const { seen, layers } = saved;
  check(layers.length === cache.nLayers, "number", layers.length);
  cache.fill(seen, (rows, l, store) => {
    const layer = layers[l];
    if (layer !== undefined) restoreRows(engine, store, rows, layer, { seen, label: `cache.${l}` });
  });
}

async function saveRows(engine: SnapshotEngine, rows: Rows): Promise<SavedLayer> {
  const store = new RowStore(engine);
  const packed = new Rows(rows.codec, rows.nKvHeads, rows.headDim);
  const known = joined(rows.listPositions());
  const [length, capacity] = [rows.length.slice(), rows.capacity.slice()];
  const turnedTo = [...rows.turnedTo];
  store.allocate(packed, length, "cache.saved");
  try {
    store.transfer(packed, rows, null);
    const read = async (buffer: Rows["keys"]): Promise<Uint8Array> =>
      buffer.byteLength === 0 ? new Uint8Array(0) : engine.read(buffer, 0, buffer.byteLength);
    const [keys, values, places] = await Promise.all(
      [packed.keys, packed.values, packed.positions].map(read),
    );
    if (keys === undefined || values === undefined || places === undefined) throw new Error("read");
    const positions = new Uint32Array(places.slice().buffer);
    const isTurned = turnedTo.some((position) => position !== undefined);
    return { length, capacity, keys, values, positions, known: isTurned ? known : null, turnedTo };
  } finally {
    store.release(packed);
  }
}

function restoreRows(
  engine: SnapshotEngine,
  store: RowStore,
  rows: Rows,
  saved: SavedLayer,
  { seen, label }: { readonly seen: number; readonly label: string },
): void {
  checkRows(rows, saved, seen);
  const own = new RowStore(engine);
  const packed = new Rows(rows.codec, rows.nKvHeads, rows.headDim);
  own.allocate(packed, saved.length, "cache.saved");
  try {
    check(saved.keys.byteLength === packed.keys.byteLength, "keys", saved.keys.byteLength);
    check(saved.values.byteLength === packed.values.byteLength, "values", saved.values.byteLength);
    if (packed.keys.byteLength > 0) {
      engine.write(packed.keys, 0, saved.keys);
      engine.write(packed.values, 0, saved.values);
      engine.write(packed.positions, 0, bytesOf(saved.positions));
    }
    packed.length.set(saved.length);
    let begin = 0;
    for (const [head, n] of saved.length.entries()) {
      const ofHead = (saved.known ?? saved.positions).slice(begin, begin + n);
      packed.known[head] = storedPositions(ofHead, seen);
      packed.turnedTo[head] = saved.turnedTo[head];
      begin += n;
    }
    store.allocate(rows, saved.capacity, label);
    store.transfer(rows, packed, null);
  } finally {
    own.release(packed);
  }
}

function checkRows(rows: Rows, saved: SavedLayer, seen: number): void {
  const { length, capacity, positions, known, turnedTo } = saved;
  const { nKvHeads } = rows;
  check(length.length === nKvHeads, "heads", length.length);
  check(capacity.length === nKvHeads && turnedTo.length === nKvHeads, "heads", capacity.length);
  check(
    length.every((n, head) => n <= (capacity[head] ?? 0)),
    "capacity",
    capacity.join(", "),
  );
  const nRows = length.reduce((sum, n) => sum + n, 0);
  for (const list of known === null ? [positions] : [positions, known]) {
    check(list.length === nRows, "positions", list.length);
    let begin = 0;
    for (const n of length) {
      const ofHead = list.subarray(begin, begin + n);
      const isAscending = ofHead.every((position, i) => i === 0 || position > (ofHead[i - 1] ?? 0));
      check(isAscending && (ofHead.at(-1) ?? -1) < seen, "positions", ofHead.join(", "));
      begin += n;
    }
  }
}

function check(isGood: boolean, what: string, got: number | string): void {
  if (isGood) return;
  throw new KvasirError(
    "bad-snapshot",
    `Cannot restore the session: the ${what} of a layer do not fit its rows, got ${got}`,
  );
}

function joined(lists: readonly Uint32Array[]): Uint32Array {
  const all = new Uint32Array(lists.reduce((sum, list) => sum + list.length, 0));
  let begin = 0;
  for (const list of lists) {
    all.set(list, begin);
    begin += list.length;
  }
  return all;
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.length * POSITION_BYTES);
}
