// Memory of the reference engine: byte arrays that know whether they are still alive.
import { assert, KvasirError } from "../../errors.ts";
import type { EngineBuffer, EngineMemory } from "../engine.ts";

/** One allocation; slices share it. */
interface Storage {
  readonly bytes: Uint8Array;
  isFreed: boolean;
}

export class ReferenceBuffer implements EngineBuffer {
  readonly label: string;
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly isSlice: boolean;
  readonly #storage: Storage;

  constructor(
    label: string,
    storage: Storage,
    byteOffset: number,
    length: number,
    isSlice = false,
  ) {
    this.label = label;
    this.byteOffset = byteOffset;
    this.byteLength = length;
    this.isSlice = isSlice;
    this.#storage = storage;
  }

  slice(byteOffset: number, byteLength: number): ReferenceBuffer {
    this.bytes(byteOffset, byteLength);
    const start = this.byteOffset + byteOffset;
    return new ReferenceBuffer(this.label, this.#storage, start, byteLength, true);
  }

  markFreed(): void {
    assert(!this.isSlice, `"${this.label}" is a slice and must not be freed`);
    this.bytes(0, 0);
    this.#storage.isFreed = true;
  }

  bytes(byteOffset: number, byteLength: number): Uint8Array {
    assert(!this.#storage.isFreed, `buffer "${this.label}" is used after it was freed`);
    const isInside =
      byteOffset >= 0 && byteLength >= 0 && byteOffset + byteLength <= this.byteLength;
    assert(
      isInside,
      `"${this.label}" holds ${this.byteLength} bytes, wanted ${byteLength} from ${byteOffset}`,
    );
    const start = this.byteOffset + byteOffset;
    return this.#storage.bytes.subarray(start, start + byteLength);
  }

  f32(nElements: number, elementOffset = 0): Float32Array {
    const bytes = this.bytes(elementOffset * 4, nElements * 4);
    return new Float32Array(bytes.buffer, bytes.byteOffset, nElements);
  }

  u32(nElements: number, elementOffset = 0): Uint32Array {
    const bytes = this.bytes(elementOffset * 4, nElements * 4);
    return new Uint32Array(bytes.buffer, bytes.byteOffset, nElements);
  }

  u16(nElements: number, elementOffset = 0): Uint16Array {
    const bytes = this.bytes(elementOffset * 2, nElements * 2);
    return new Uint16Array(bytes.buffer, bytes.byteOffset, nElements);
  }
}

/** The buffer as this engine made it; another engine's buffer breaks an invariant. */
export function own(buffer: EngineBuffer): ReferenceBuffer {
  assert(buffer instanceof ReferenceBuffer, `"${buffer.label}" belongs to another engine`);
  return buffer;
}

/** New memory, filled with ones: f32, f16 and u32 reads of what nobody wrote stand out (NaN). */
export function newBuffer(byteLength: number, label: string): ReferenceBuffer {
  const bytes = newBytes(byteLength, label);
  return new ReferenceBuffer(label, { bytes, isFreed: false }, 0, byteLength);
}

/** Bytes of 0xff. */
export function newBytes(byteLength: number, label: string): Uint8Array {
  try {
    return new Uint8Array(byteLength).fill(0xff);
  } catch (cause) {
    throw new KvasirError(
      "out-of-memory",
      `Cannot allocate "${label}": more than the platform gives, got ${byteLength} bytes`,
      { cause },
    );
  }
}

/** Counts bytes; `maxBytes` stands in for a platform's limit. */
export class Ledger {
  readonly #maxBytes: number;
  #bytes = 0;
  #weightBytes = 0;
  #peakBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Throws where `byteLength` more bytes make no sense or do not fit. */
  check(byteLength: number, label: string): void {
    if (!Number.isSafeInteger(byteLength) || byteLength < 0) {
      throw new RangeError(`Cannot allocate "${label}": bad number of bytes, got ${byteLength}`);
    }
    const available = this.#maxBytes - this.#bytes;
    if (byteLength > available) {
      throw new KvasirError(
        "out-of-memory",
        `Cannot allocate "${label}": ${available} bytes are available, got ${byteLength} bytes`,
      );
    }
  }

  take(byteLength: number, isWeight: boolean): void {
    this.#bytes += byteLength;
    if (isWeight) this.#weightBytes += byteLength;
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
  }

  give(byteLength: number, isWeight: boolean): void {
    this.#bytes -= byteLength;
    if (isWeight) this.#weightBytes -= byteLength;
  }

  memory(): EngineMemory {
    return {
      bytes: this.#bytes,
      weightBytes: this.#weightBytes,
      peakBytes: this.#peakBytes,
      reservedBytes: 0,
      limitBytes: this.#maxBytes,
    };
  }
}
