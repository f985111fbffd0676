// Byte sources that need no platform: bytes in memory, a Blob, and several sources read as one.
import { KvasirError, throwIfAborted } from "../errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { badGguf } from "./value.ts";

/** Bytes in memory, shared with the caller, who must not change them. */
export class BufferSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array | ArrayBuffer, name = "buffer") {
    this.bytes = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
    this.size = this.bytes.length;
    this.name = name;
  }

  read(byteOffset: number, byteLength: number, signal?: AbortSignal): Promise<Uint8Array> {
    return Promise.resolve().then(() => {
      throwIfAborted(signal, `read "${this.name}"`);
      checkRange(this, byteOffset, byteLength);
      return new Uint8Array(this.bytes.subarray(byteOffset, byteOffset + byteLength));
    });
  }
}

/** A Blob or File; bytes are read from where the platform keeps them. */
export class BlobSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  private readonly blob: Blob;

  constructor(blob: Blob, name?: string) {
    this.blob = blob;
    this.size = blob.size;
    this.name = name ?? (blob as { name?: string }).name ?? "blob";
  }

  async read(byteOffset: number, byteLength: number, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal, `read "${this.name}"`);
    checkRange(this, byteOffset, byteLength);
    let buffer: ArrayBuffer;
    try {
      buffer = await this.blob.slice(byteOffset, byteOffset + byteLength).arrayBuffer();
    } catch (cause) {
      // A File whose bytes changed or went away on disk rejects here.
      throw new KvasirError("not-found", `Cannot read "${this.name}": its bytes are gone`, {
        cause,
      });
    }
    throwIfAborted(signal, `read "${this.name}"`);
    return new Uint8Array(buffer);
  }
}

/** Several sources one after another, such as a file that was cut into parts. Owns its parts. */
export class ConcatSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  private readonly parts: readonly { readonly source: ByteSource; readonly begin: number }[];

  /** @param sources In order; at least one. */
  constructor(sources: readonly ByteSource[], name?: string) {
    let size = 0;
    this.parts = sources.map((source) => {
      const begin = size;
      size += source.size;
      return { source, begin };
    });
    this.size = size;
    this.name = name ?? sources[0]?.name ?? "no parts";
  }

  async read(byteOffset: number, byteLength: number, signal?: AbortSignal): Promise<Uint8Array> {
    checkRange(this, byteOffset, byteLength);
    const end = byteOffset + byteLength;
    const inside = this.parts.find(
      ({ source, begin }) => byteOffset >= begin && end <= begin + source.size,
    );
    if (inside) return inside.source.read(byteOffset - inside.begin, byteLength, signal);
    const bytes = new Uint8Array(byteLength);
    for (const { source, begin } of this.parts) {
      const from = Math.max(byteOffset, begin);
      const to = Math.min(end, begin + source.size);
      if (from >= to) continue;
      bytes.set(await source.read(from - begin, to - from, signal), from - byteOffset);
    }
    return bytes;
  }

  async close(): Promise<void> {
    await Promise.all(this.parts.map(({ source }) => source.close?.()));
  }
}

/** @throws {KvasirError} `bad-gguf` when the range is not inside the source. */
export function checkRange(
  source: Pick<ByteSource, "name" | "size">,
  byteOffset: number,
  byteLength: number,
): void {
  const end = byteOffset + byteLength;
  if (byteOffset >= 0 && byteLength >= 0 && end <= source.size) return;
  throw badGguf(
    source.name,
    `bytes ${byteOffset} to ${end} are wanted, the file has ${source.size} bytes`,
  );
}
