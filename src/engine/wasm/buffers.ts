// What the engine hands out: ranges of the arena, and where rows of a head lie in them.
// Checks build their messages only when they fail: they run for every op of every token.
import { assert, KvasirError } from "../../errors.ts";
import { TENSOR_TYPES, type TensorTypeName } from "../../gguf/tensor-type.ts";
import { codecs } from "../../cache/layout.ts";
import type { CodecName, EngineBuffer, LayerRows, Weight } from "../engine.ts";

export class WasmBuffer implements EngineBuffer {
  readonly label: string;
  readonly byteLength: number;
  readonly ptr: number;
  /** The buffer that a slice belongs to; itself for a buffer. */
  readonly root: WasmBuffer;
  isFreed = false;
  constructor(label: string, byteLength: number, ptr: number, root?: WasmBuffer) {
    this.label = label;
    this.byteLength = byteLength;
    this.ptr = ptr;
    this.root = root ?? this;
  }
}

export class WasmWeight implements Weight {
  readonly label: string;
  readonly type: TensorTypeName;
  readonly typeId: number;
  readonly nRows: number;
  readonly nCols: number;
  readonly byteLength: number;
  readonly ptr: number;
  /** In panels for integer products; else GGUF blocks for f32 products. */
  readonly isPacked: boolean;
  isFreed = false;
  constructor(init: Omit<Weight, "toString"> & { ptr: number; isPacked: boolean }) {
    this.label = init.label;
    this.type = init.type;
    this.typeId = TENSOR_TYPES[init.type].id;
    this.nRows = init.nRows;
    this.nCols = init.nCols;
    this.byteLength = init.byteLength;
    this.ptr = init.ptr;
    this.isPacked = init.isPacked;
  }
}

export function liveBuffer(buffer: EngineBuffer): WasmBuffer {
  if (!(buffer instanceof WasmBuffer)) assert(false, `${buffer.label} belongs to this engine`);
  if (buffer.root.isFreed) assert(false, `${buffer.label} is not freed`);
  return buffer;
}

/** @returns Offset of `byteLength` bytes at `byteOffset` of a live buffer. */
export function pointer(buffer: EngineBuffer, byteOffset: number, byteLength: number): number {
  const own = liveBuffer(buffer);
  if (byteOffset < 0 || byteOffset + byteLength > own.byteLength) {
    const end = byteOffset + byteLength;
    assert(false, `bytes ${byteOffset} to ${end} lie in ${own.label}, ${own.byteLength} bytes`);
  }
  return own.ptr + byteOffset;
}

export function liveWeight(weight: Weight): WasmWeight {
  if (!(weight instanceof WasmWeight)) assert(false, `${weight.label} belongs to this engine`);
  if (weight.isFreed) assert(false, `${weight.label} is not freed`);
  return weight;
}

/** The attention kernel steps by eight channels, and some take a row onto the stack. */
const HEAD_DIM_STEP = 8;
const MAX_HEAD_DIM = 512;

const CODECS: Readonly<Record<CodecName, number>> = { f32: 0, f16: 1, q8: 2 };

/** The kernels' number of a codec. */
export function codecId(rows: LayerRows): number {
  if (rows.headDim % HEAD_DIM_STEP !== 0 || rows.headDim > MAX_HEAD_DIM) {
    throw new KvasirError(
      "unsupported-model",
      `Cannot attend: the head dimension must be a multiple of ${HEAD_DIM_STEP} up to ` +
        `${MAX_HEAD_DIM}, got ${rows.headDim}`,
    );
  }
  return CODECS[rows.codec];
}

export function rowBytes(rows: LayerRows): number {
  return codecs[rows.codec].rowBytes(rows.headDim);
}

/** Offset of the first row of a head in `cells`, keys or values. */
export function headPointer(rows: LayerRows, cells: EngineBuffer, head: number): number {
  return liveBuffer(cells).ptr + (rows.start[head] ?? 0) * rowBytes(rows);
}

export function positionsPointer(rows: LayerRows, head: number): number {
  return liveBuffer(rows.positions).ptr + 4 * (rows.start[head] ?? 0);
}
