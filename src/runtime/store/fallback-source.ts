import { KvasirError } from "../../errors.ts";
import type { ByteSource } from "../../gguf/byte-source.ts";

/** Whether a store failed in a way that reading without one would not. */
export function isStoreFailure(error: unknown): boolean {
  const code = error instanceof KvasirError ? error.code : undefined;
  return code === "storage-full" || code === "unavailable";
}

/** Reads `first` until its store fails, then what `open` opens. Owns both. */
export class FallbackSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #first: ByteSource;
  readonly #open: () => Promise<ByteSource>;
  #second: Promise<ByteSource> | null = null;

  constructor(first: ByteSource, open: () => Promise<ByteSource>) {
    this.name = first.name;
    this.size = first.size;
    this.#first = first;
    this.#open = open;
  }

  async read(byteOffset: number, byteLength: number, signal?: AbortSignal): Promise<Uint8Array> {
    if (this.#second === null) {
      try {
        return await this.#first.read(byteOffset, byteLength, signal);
      } catch (error) {
        if (!isStoreFailure(error)) throw error;
      }
    }
    this.#second ??= this.#open();
    return (await this.#second).read(byteOffset, byteLength, signal);
  }

  async finish(): Promise<void> {
    // The reader has its bytes, and nobody asked for them to be kept.
    await this.#first.finish?.().catch(() => undefined);
    await this.#first.close?.();
    await this.#closeSecond();
  }

  async close(): Promise<void> {
    await this.#first.close?.();
    await this.#closeSecond();
  }

  async #closeSecond(): Promise<void> {
    const second = await this.#second?.catch(() => null); // whoever read has the error
    await second?.close?.();
  }
}
