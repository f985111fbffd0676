// The arena: which bytes of the WASM memory are taken. JavaScript allocates, kernels only compute.
//
// First fit over a list of free ranges, neighbours joined on free; the memory grows when nothing
// fits. It never shrinks (WebAssembly cannot), but freed ranges are used again.
import { assert, KvasirError } from "../../errors.ts";

const PAGE_BYTES = 65_536;
/** wasm32's address space. */
const MAX_PAGES = 65_536;
/** A cache line, and more than any vector load asks for. */
const ALIGNMENT = 64;

interface Range {
  ptr: number;
  byteLength: number;
}

export class Arena {
  readonly #memory: WebAssembly.Memory;
  readonly #maxPages: number;
  readonly #free: Range[] = []; // ascending, never adjacent
  readonly #taken = new Map<number, number>(); // ptr -> byteLength
  readonly #ownBytes: number;
  #bytes = 0;
  #u8: Uint8Array;
  #u32: Uint32Array;
  #f32: Float32Array;

  /** @param maxBytes What the arena may make of the memory, at most 4 GiB. */
  constructor(memory: WebAssembly.Memory, maxBytes = MAX_PAGES * PAGE_BYTES) {
    this.#memory = memory;
    this.#ownBytes = memory.buffer.byteLength;
    this.#maxPages = Math.min(MAX_PAGES, Math.floor(maxBytes / PAGE_BYTES));
    this.#u8 = new Uint8Array(memory.buffer);
    this.#u32 = new Uint32Array(memory.buffer);
    this.#f32 = new Float32Array(memory.buffer);
  }

  /** Bytes allocated now, rounded up to the alignment. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The most that can be allocated at once, in all: what the kernels themselves hold is not ours. */
  get limitBytes(): number {
    return this.#maxPages * PAGE_BYTES - this.#ownBytes;
  }

  /** Bytes of the whole memory. */
  get reservedBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** Views of the whole memory; a growth replaces them, so never keep one over an `alloc`. */
  get u8(): Uint8Array {
    this.#refresh();
    return this.#u8;
  }

  get u32(): Uint32Array {
    this.#refresh();
    return this.#u32;
  }

  get f32(): Float32Array {
    this.#refresh();
    return this.#f32;
  }

  /** @throws {KvasirError} `out-of-memory` with bytes wanted and available. */
  alloc(byteLength: number, label: string): number {
    const size = Math.max(ALIGNMENT, Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT);
    let index = this.#free.findIndex((range) => range.byteLength >= size);
    if (index < 0) {
      this.#grow(size, label);
      index = this.#free.length - 1;
    }
    const range = this.#free[index];
    assert(range !== undefined && range.byteLength >= size, "a grown arena has room");
    const ptr = range.ptr;
    range.ptr += size;
    range.byteLength -= size;
    if (range.byteLength === 0) this.#free.splice(index, 1);
    this.#taken.set(ptr, size);
    this.#bytes += size;
    return ptr;
  }

  /** Grows the memory once for all that will be allocated soon: each growth costs a host much. */
  reserve(byteLength: number): void {
    this.free(this.alloc(byteLength, "what is to come"));
  }

  free(ptr: number): void {
    const byteLength = this.#taken.get(ptr);
    assert(byteLength !== undefined, `free of a range that is not taken, at ${ptr}`);
    this.#taken.delete(ptr);
    this.#bytes -= byteLength;
    this.#release(ptr, byteLength);
  }

  #release(ptr: number, byteLength: number): void {
    let index = this.#free.findIndex((range) => range.ptr > ptr);
    if (index < 0) index = this.#free.length;
    const before = this.#free[index - 1];
    const after = this.#free[index];
    const joinsBefore = before !== undefined && before.ptr + before.byteLength === ptr;
    const joinsAfter = after !== undefined && ptr + byteLength === after.ptr;
    if (joinsBefore) {
      before.byteLength += byteLength + (joinsAfter ? after.byteLength : 0);
      if (joinsAfter) this.#free.splice(index, 1);
    } else if (joinsAfter) {
      after.ptr = ptr;
      after.byteLength += byteLength;
    } else {
      this.#free.splice(index, 0, { ptr, byteLength });
    }
  }

  #grow(size: number, label: string): void {
    const last = this.#free.at(-1);
    const end = this.reservedBytes;
    const usable = last !== undefined && last.ptr + last.byteLength === end ? last.byteLength : 0;
    const pages = Math.ceil((size - usable) / PAGE_BYTES);
    const available = (this.#maxPages - end / PAGE_BYTES) * PAGE_BYTES + usable;
    let first = -1;
    if (size <= available) {
      try {
        first = this.#memory.grow(pages);
      } catch {
        first = -1; // the platform has less than the address space; reported below
      }
    }
    if (first < 0) {
      throw new KvasirError(
        "out-of-memory",
        `Cannot allocate ${label}: wanted ${size} bytes, ${Math.max(0, available)} bytes left ` +
          `of the ${this.#maxPages * PAGE_BYTES} that WebAssembly may use`,
      );
    }
    this.#release(first * PAGE_BYTES, pages * PAGE_BYTES);
  }

  #refresh(): void {
    if (this.#u8.buffer === this.#memory.buffer) return;
    this.#u8 = new Uint8Array(this.#memory.buffer);
    this.#u32 = new Uint32Array(this.#memory.buffer);
    this.#f32 = new Float32Array(this.#memory.buffer);
  }
}
