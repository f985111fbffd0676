// How fast one thread can read memory from WebAssembly: a loop that adds up vectors, and nothing else.
// What a decode step reads over this rate is the least time that it can take.

const BYTES = 256 * 1024 * 1024;
const PAGE_BYTES = 65_536;
const ROUNDS = 4;
const LANES = 4;
const VECTOR_BYTES = 16;

// Opcodes of the module below, by their names in the specification.
const I32 = 0x7f;
const I64 = 0x7e;
const V128 = 0x7b;
const LOCAL_GET = 0x20;
const LOCAL_SET = 0x21;
const LOCAL_TEE = 0x22;
const I32_CONST = 0x41;
const I32_ADD = 0x6a;
const I32_LT_U = 0x49;
const I64X2_ADD = [0xfd, 0xce, 0x01];
const I64X2_EXTRACT_LANE = 0x1d;
const VOID = 0x40;

type Sum = (begin: number, end: number) => bigint;

/** `sum(begin, end)`: the even i64 lanes of memory added up, 64 bytes a turn. */
export function readLoop(pages: number): {
  readonly memory: WebAssembly.Memory;
  readonly sum: Sum;
} {
  const memory = new WebAssembly.Memory({ initial: pages });
  const module = new WebAssembly.Module(moduleBytes(pages));
  const { exports } = new WebAssembly.Instance(module, { host: { memory } });
  return { memory, sum: exports["sum"] as Sum };
}

/** Bytes per second, the best of a few rounds over more than any cache holds. */
export function readBandwidth(): number {
  const { memory, sum } = readLoop(BYTES / PAGE_BYTES);
  new Uint8Array(memory.buffer).fill(1);
  const seconds = Array.from({ length: ROUNDS }, () => {
    const started = performance.now();
    sum(0, BYTES);
    return (performance.now() - started) / 1000;
  });
  return BYTES / Math.min(...seconds);
}

function moduleBytes(pages: number): Uint8Array<ArrayBuffer> {
  const lanes = Array.from({ length: LANES }, (_, i) => i);
  const [begin, end, first] = [0, 1, 2];
  const load = (i: number): number[] => [LOCAL_GET, begin, 0xfd, 0x00, 4, i * VECTOR_BYTES];
  const add = (i: number): number[] => {
    const lane = first + i;
    return [LOCAL_GET, lane, ...load(i), ...I64X2_ADD, LOCAL_SET, lane];
  };
  const step = [LOCAL_GET, begin, I32_CONST, ...signed(LANES * VECTOR_BYTES), I32_ADD];
  const again = [...step, LOCAL_TEE, begin, LOCAL_GET, end, I32_LT_U, 0x0d, 0];
  const total = lanes.flatMap((i) => [LOCAL_GET, first + i, ...(i === 0 ? [] : I64X2_ADD)]);
  const loop = [0x03, VOID, ...lanes.flatMap(add), ...again, 0x0b];
  const body = [...loop, ...total, 0xfd, I64X2_EXTRACT_LANE, 0, 0x0b];
  const code = [1, LANES, V128, ...body];
  return Uint8Array.from([
    ...[0x00, ...name("asm").slice(1), 1, 0, 0, 0],
    ...section(1, [1, 0x60, 2, I32, I32, 1, I64]),
    ...section(2, [1, ...name("host"), ...name("memory"), 0x02, 0x00, ...unsigned(pages)]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name("sum"), 0, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ]);
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsigned(content.length), ...content];
}

function name(text: string): number[] {
  return [text.length, ...Array.from(text, (letter) => letter.charCodeAt(0))];
}

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** Signed LEB128 of a number that is not negative. */
function signed(value: number): number[] {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signed(value >>> 7)];
}
