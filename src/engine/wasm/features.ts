// Which build of the kernels this engine can run: found by validating a few bytes, never by its name.
import type { KernelBuild } from "../../runtime/runtime.ts";

/** A function that is nothing but i16x8.relaxed_dot_i8x16_i7x16_s of two zero vectors. */
const RELAXED_DOT = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // magic, version
  ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b], // type () -> v128
  ...[0x03, 0x02, 0x01, 0x00], // one function of it
  ...[0x0a, 0x0f, 0x01, 0x0d, 0x00], // its body, without locals
  ...[0x41, 0x00, 0xfd, 0x0f, 0x41, 0x00, 0xfd, 0x0f], // i32.const 0, i8x16.splat, twice
  ...[0xfd, 0x92, 0x02, 0x0b], // i16x8.relaxed_dot_i8x16_i7x16_s, end
);

/** The builds that run here, fastest first. All give the same bits. */
export function usableBuilds(): readonly KernelBuild[] {
  return WebAssembly.validate(RELAXED_DOT) ? ["relaxed", "simd128"] : ["simd128"];
}
