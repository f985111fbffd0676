// Memory that lives for one op. It grows to the largest op seen and is used again by the next.
import { assert } from "../../errors.ts";
import type { Arena } from "./memory.ts";

const ALIGNMENT = 64;

export class OpScratch {
  readonly #arena: Arena;
  #ptr = 0;
  #byteLength = 0;
  #used = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Forgets what the op before took and makes sure that `parts` ranges of `byteLength` in all fit. */
  begin(byteLength: number, parts: number): void {
    const wanted = byteLength + parts * ALIGNMENT;
    this.#used = 0;
    if (wanted <= this.#byteLength) return;
    if (this.#byteLength > 0) this.#arena.free(this.#ptr);
    this.#byteLength = 0;
    this.#ptr = this.#arena.alloc(wanted, "scratch");
    this.#byteLength = wanted;
  }

  /** @returns Offset of the next `byteLength` bytes; valid until the next `begin`. */
  take(byteLength: number): number {
    const ptr = this.#ptr + this.#used;
    this.#used += Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
    if (this.#used > this.#byteLength) assert(false, "scratch was announced");
    return ptr;
  }
}
