// What tells one model from another: a hash of what the file says about it and of some of each tensor.
import { Sha256 } from "../tokenizer/sha256.ts";
import type { GgufFile } from "../gguf/parse.ts";
import type { TensorInfo } from "../gguf/tensor-info.ts";

/** Bytes of each tensor that count: enough to tell fine-tunes apart, next to nothing to hash. */
const SAMPLE_BYTES = 1024;

/** Fed with every tensor that is loaded, in any order. */
export class Fingerprint {
  readonly #tensors: string[] = [];

  /** @param begin The tensor's bytes from the first one on. */
  add({ name, type, dims }: TensorInfo, begin: Uint8Array): void {
    const sample = new Sha256().update(begin.subarray(0, SAMPLE_BYTES)).hex();
    this.#tensors.push(`${name} ${type.name} ${dims.join("x")} ${sample}`);
  }

  /**
   * SHA-256, hex, over the architecture's metadata, and name, type, shape and first 1024 bytes of each
   * tensor. Shards and the whole file have the same.
   */
  hash({ metadata }: GgufFile): string {
    const architecture = metadata.get("general.architecture");
    const facts = [...metadata]
      .filter(([key]) => key.startsWith(`${String(architecture)}.`))
      .map(([key, value]) => `${key} ${String(value)}`);
    const text = [...facts.sort(), ...this.#tensors.sort()].join("\n");
    return new Sha256().update(new TextEncoder().encode(text)).hex();
  }
}
