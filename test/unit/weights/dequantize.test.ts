import { describe, expect, it } from "vitest";
import { TENSOR_TYPES, type TensorTypeName } from "../../../src/gguf/tensor-type.ts";
import { f16ToF32 } from "../../../src/weights/formats/floats.ts";
import { dequantize } from "../../../src/weights/formats/index.ts";
import { readF32, readU8 } from "../../support/golden.ts";

const QUANTIZED = Object.values(TENSOR_TYPES).filter((type) => type.name !== "F32");

/** Bits of each value; all NaNs count as one, since copies may change their payload. */
function bitsOf(values: Float32Array): Uint32Array {
  const bits = new Uint32Array(values.buffer.slice(0), values.byteOffset, values.length);
  return bits.map((word) => ((word & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : word));
}

describe("dequantize equals gguf.quants.dequantize bit for bit", () => {
  it.each(QUANTIZED.map((type) => type.name))("%s", (name) => {
    const blocks = readU8(`dequant/${name}.raw.u8`);
    const golden = readF32(`dequant/${name}.f32`);
    expect(bitsOf(dequantize(name, blocks))).toEqual(bitsOf(golden));
  });

  it("F32 copies bytes", () => {
    const values = new Float32Array([0, -0, 1.5, -Infinity, Number.NaN, 1e-45]);
    expect(bitsOf(dequantize("F32", new Uint8Array(values.buffer)))).toEqual(bitsOf(values));
  });

  it.each(QUANTIZED.map((type) => type.name))("%s from bytes at an odd offset", (name) => {
    const blocks = readU8(`dequant/${name}.raw.u8`);
    const shifted = new Uint8Array(blocks.length + 1);
    shifted.set(blocks, 1);
    expect(bitsOf(dequantize(name, shifted.subarray(1)))).toEqual(bitsOf(dequantize(name, blocks)));
  });
});

describe("dequantize", () => {
  it("fills and returns the array it is given, also a window of one", () => {
    const blocks = readU8("dequant/Q4_0.raw.u8").subarray(0, 18);
    const whole = new Float32Array(40);
    const window = whole.subarray(4, 36);
    expect(dequantize("Q4_0", blocks, window)).toBe(window);
    expect(whole.subarray(4, 36)).toEqual(dequantize("Q4_0", blocks));
    expect([...whole.subarray(0, 4), ...whole.subarray(36)]).toEqual(new Array(8).fill(0));
  });

  it("refuses part of a block", () => {
    expect(() => dequantize("Q4_0", new Uint8Array(17))).toThrow(RangeError);
  });

  it("refuses an array of another length", () => {
    expect(() => dequantize("Q8_0", new Uint8Array(34), new Float32Array(31))).toThrow(
      "Cannot dequantize Q8_0: 1 blocks fill 32 elements, got 31",
    );
  });

  it("gives no elements for no bytes, for every type", () => {
    for (const name of Object.keys(TENSOR_TYPES) as TensorTypeName[]) {
      expect(dequantize(name, new Uint8Array(0))).toHaveLength(0);
    }
  });
});

describe("f16ToF32", () => {
  it("is exact for every finite half, against arithmetic", () => {
    for (let bits = 0; bits < 2 ** 15; bits++) {
      const exponent = bits >> 10;
      const fraction = bits & 1023;
      if (exponent === 31) continue;
      const value = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
      if (f16ToF32(bits) !== value || f16ToF32(bits | 0x8000) !== -value) {
        expect.fail(`half 0x${bits.toString(16)} gives ${f16ToF32(bits)}, wanted ${value}`);
      }
    }
    expect(Object.is(f16ToF32(0x8000), -0)).toBe(true);
    expect(f16ToF32(0x7c00)).toBe(Infinity);
    expect(f16ToF32(0xfc00)).toBe(-Infinity);
    expect(f16ToF32(0x7e00)).toBeNaN();
  });
});
