import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { Sha256 } from "../../../src/tokenizer/sha256.ts";
import { Rng, seedOf } from "../../support/rng.ts";

test("Sha256: every length around the block size, in random pieces, equals node:crypto", () => {
  const rng = new Rng(seedOf("sha256"));
  for (let length = 0; length <= 200; length++) {
    const bytes = rng.bytes(length);
    const sha256 = new Sha256();
    for (let at = 0; at < length;) {
      const end = Math.min(length, at + rng.integer(1, 80));
      sha256.update(bytes.subarray(at, end));
      at = end;
    }
    expect(sha256.hex(), `length ${length}`).toBe(createHash("sha256").update(bytes).digest("hex"));
  }
});

test("Sha256: FIPS 180-4 example", () => {
  expect(new Sha256().update(new TextEncoder().encode("abc")).hex()).toBe(
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
});
