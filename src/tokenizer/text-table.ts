import type { TextList } from "../text-list.ts";

/**
 * Finds texts of a list by their bytes; of equal texts the first. Open addressing over one array:
 * a quarter of a million texts are entered in milliseconds, none of them as a string.
 */
export class TextTable {
  readonly #list: TextList;
  /** 1 + index of the text, 0: free. At most half of it is taken. */
  readonly #slots: Uint32Array;
  readonly #mask: number;

  constructor(list: TextList) {
    this.#list = list;
    let size = 16;
    while (size < 2 * list.length) size *= 2;
    this.#slots = new Uint32Array(size);
    this.#mask = size - 1;
    const { bytes, ends } = list;
    for (let i = 0; i < list.length; i++) {
      const slot = this.#slotOf(bytes, list.start(i), ends[i]!);
      if (this.#slots[slot] === 0) this.#slots[slot] = i + 1;
    }
  }

  /** @returns The index of the text that is these bytes, -1 where there is none. */
  find(bytes: Uint8Array, start: number, end: number): number {
    return this.#slots[this.#slotOf(bytes, start, end)]! - 1;
  }

  /** Where the text is, or would be. */
  #slotOf(bytes: Uint8Array, start: number, end: number): number {
    // FNV-1a, and its high bits mixed in: they depend on more of the text.
    let hash = 0x811c9dc5;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    let slot = (hash ^ (hash >>> 15)) & this.#mask;
    for (;;) {
      const entry = this.#slots[slot]!;
      if (entry === 0 || this.#isEqual(entry - 1, bytes, start, end)) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }

  #isEqual(index: number, bytes: Uint8Array, start: number, end: number): boolean {
    const own = this.#list.start(index);
    if (this.#list.ends[index]! - own !== end - start) return false;
    const all = this.#list.bytes;
    for (let i = start; i < end; i++) if (all[own + i - start] !== bytes[i]) return false;
    return true;
  }
}
