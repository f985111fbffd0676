// What the engine hands out: ranges of the device's buffers, and the account of their bytes.
import { assert, KvasirError } from "../../../errors.ts";
import type { EngineBuffer, EngineMemory } from "../../engine.ts";
import type { Allocation } from "./device.ts";

export class GpuBuffer implements EngineBuffer {
  readonly label: string;
  readonly allocation: Allocation;
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly isSlice: boolean;

  constructor(
    label: string,
    allocation: Allocation,
    byteOffset: number,
    byteLength: number,
    isSlice: boolean,
  ) {
    this.label = label;
    this.allocation = allocation;
    this.byteOffset = byteOffset;
    this.byteLength = byteLength;
    this.isSlice = isSlice;
  }
}

/** The buffer as this engine made it, still alive. */
export function liveBuffer(buffer: EngineBuffer): GpuBuffer {
  if (!(buffer instanceof GpuBuffer)) assert(false, `"${buffer.label}" belongs to another engine`);
  if (buffer.allocation.isFreed) assert(false, `"${buffer.label}" is used after it was freed`);
  return buffer;
}

/**
 * @returns The byte offset in the allocation of `byteLength` bytes at `byteOffset` of a live buffer.
 * Both in whole words of 4 bytes: the device copies nothing smaller.
 */
export function rangeOf(buffer: EngineBuffer, byteOffset: number, byteLength: number): number {
  const own = liveBuffer(buffer);
  if (byteOffset < 0 || byteLength < 0 || byteOffset + byteLength > own.byteLength) {
    const end = byteOffset + byteLength;
    assert(false, `bytes ${byteOffset} to ${end} lie in "${own.label}", ${own.byteLength} bytes`);
  }
  if (byteOffset % 4 !== 0 || byteLength % 4 !== 0) {
    assert(false, `"${own.label}": whole words, got ${byteLength} bytes at ${byteOffset}`);
  }
  return own.byteOffset + byteOffset;
}

/** Counts what callers hold. */
export class Ledger {
  readonly #limitBytes: number;
  #bytes = 0;
  #weightBytes = 0;
  #peakBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** @throws {KvasirError} `out-of-memory` when `byteLength` more bytes pass the limit. */
  check(byteLength: number, label: string): void {
    const available = this.#limitBytes - this.#bytes;
    if (byteLength <= available) return;
    throw new KvasirError(
      "out-of-memory",
      `Cannot allocate "${label}": ${available} bytes are available, got ${byteLength} bytes`,
    );
  }

  /** Negative when something is freed. */
  count(byteLength: number, isWeight: boolean): void {
    this.#bytes += byteLength;
    if (isWeight) this.#weightBytes += byteLength;
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
  }

  memory(reservedBytes: number): EngineMemory {
    return {
      bytes: this.#bytes,
      weightBytes: this.#weightBytes,
      peakBytes: this.#peakBytes,
      reservedBytes,
      limitBytes: this.#limitBytes,
    };
  }
}
