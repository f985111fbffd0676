// One row of a GGUF file's tensor table, and the checks that make its byte range safe to read.
import { KvasirError } from "../errors.ts";
import type { ByteSource } from "./byte-source.ts";
import type { HeaderReader } from "./header-reader.ts";
import {
  TENSOR_TYPES,
  type TensorType,
  tensorTypeById,
  unsupportedTypeName,
} from "./tensor-type.ts";
import { badGguf } from "./value.ts";

export interface TensorInfo {
  readonly name: string;
  readonly type: TensorType;
  /** Elements, innermost first: a matrix is [nCols, nRows]. */
  readonly dims: readonly number[];
  readonly nElements: number;
  /** Absolute, in `source`. */
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly source: ByteSource;
}

const MAX_NAME_BYTES = 256; // ggml itself stops at 63
const MAX_DIMS = 4; // ggml's own limit
const MAX_ELEMENTS = 2n ** 50n; // keeps every byte count an exact number

/** Reads one entry of the table; `byteOffset` still counts from the start of the data section. */
export async function readTensorInfo(
  reader: HeaderReader,
  source: ByteSource,
): Promise<TensorInfo> {
  const start = reader.position;
  const name = await reader.readName("a tensor's name", MAX_NAME_BYTES);
  if (name === "") throw reader.error(start, "a tensor's name is empty");
  const what = `tensor "${name}"`;
  const dims = await readDims(reader, what);
  const typeByteOffset = reader.position;
  const typeId = await reader.readU32(what);
  const byteOffset = await reader.readU64(what);
  if (byteOffset > BigInt(source.size)) {
    throw reader.error(
      reader.position - 8,
      `${what} begins past the file's end, at data byte ${byteOffset}`,
    );
  }
  const type = tensorTypeById(typeId);
  if (!type) throw unsupportedType(source.name, name, typeId, typeByteOffset);
  const nCols = dims[0] ?? 0;
  if (nCols % type.blockSize !== 0) {
    throw reader.error(
      start,
      `${what} of type ${type.name} has ${nCols} elements in a row, ` +
        `not a multiple of ${type.blockSize}`,
    );
  }
  const nElements = dims.reduce((product, dim) => product * dim, 1);
  const byteLength = (nElements / type.blockSize) * type.blockByteLength;
  return { name, type, dims, nElements, byteOffset: Number(byteOffset), byteLength, source };
}

async function readDims(reader: HeaderReader, what: string): Promise<number[]> {
  const byteOffset = reader.position;
  const nDims = await reader.readU32(what);
  if (nDims < 1 || nDims > MAX_DIMS) {
    throw reader.error(byteOffset, `${what} must have 1 to ${MAX_DIMS} dims, got ${nDims}`);
  }
  const dims: number[] = [];
  let nElements = 1n;
  for (let i = 0; i < nDims; i++) {
    const dim = await reader.readU64(what);
    if (dim === 0n) throw reader.error(reader.position - 8, `${what} has a dim of 0`);
    nElements *= dim;
    if (nElements > MAX_ELEMENTS) {
      throw reader.error(reader.position - 8, `${what} has ${nElements} elements or more`);
    }
    dims.push(Number(dim));
  }
  return dims;
}

function unsupportedType(
  file: string,
  tensor: string,
  id: number,
  byteOffset: number,
): KvasirError {
  const name = unsupportedTypeName(id);
  const readable = Object.keys(TENSOR_TYPES).join(", ");
  return new KvasirError(
    "unsupported-model",
    `Cannot read GGUF "${file}": tensor "${tensor}" has the ` +
      `${name ? `type ${name}` : "unknown type"} (${id}) at byte ${byteOffset}; ` +
      `types read are ${readable}`,
  );
}

/**
 * Makes byte offsets absolute and checks that no tensor is named twice, lies unaligned, over
 * another one or past the end.
 */
export function checkTensorLayout(
  infos: readonly TensorInfo[],
  source: ByteSource,
  dataByteOffset: number,
  alignment: number,
): Map<string, TensorInfo> {
  const tensors = new Map<string, TensorInfo>();
  for (const info of infos) {
    const { name, byteLength } = info;
    if (tensors.has(name)) throw badGguf(source.name, `tensor "${name}" appears twice`);
    if (info.byteOffset % alignment !== 0) {
      throw badGguf(
        source.name,
        `tensor "${name}" begins at data byte ${info.byteOffset}, not a multiple of ${alignment}`,
      );
    }
    const byteOffset = dataByteOffset + info.byteOffset;
    if (byteOffset + byteLength > source.size) {
      throw badGguf(
        source.name,
        `tensor "${name}" ends at byte ${byteOffset + byteLength}, ` +
          `the file has ${source.size} bytes`,
      );
    }
    tensors.set(name, { ...info, byteOffset });
  }
  checkOverlap([...tensors.values()], source);
  return tensors;
}

function checkOverlap(infos: TensorInfo[], source: ByteSource): void {
  infos.sort((a, b) => a.byteOffset - b.byteOffset);
  infos.forEach((info, i) => {
    const previous = infos[i - 1];
    if (previous && previous.byteOffset + previous.byteLength > info.byteOffset) {
      throw badGguf(
        source.name,
        `tensors "${previous.name}" and "${info.name}" overlap at byte ${info.byteOffset}`,
      );
    }
  });
}
