// Reads single files out of a zip archive (a Python wheel is one) without holding them in memory.
import { createReadStream, createWriteStream } from "node:fs";
import { open } from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createInflateRaw } from "node:zlib";

// Records by the zip specification (APPNOTE 6.3): signature, then fields at fixed offsets.
const END = { signature: 0x06054b50, byteLength: 22, maxComment: 0xffff };
const CENTRAL = { signature: 0x02014b50, byteLength: 46 };
const LOCAL = { signature: 0x04034b50, byteLength: 30 };
const STORED = 0;
const DEFLATED = 8;

/** @returns `{ name, method, packedBytes, bytes, localOffset }` of each file in the archive. */
export async function listZip(path) {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const tail = await readAt(file, Math.max(0, size - END.byteLength - END.maxComment), size);
    const end = lastIndexOfSignature(tail, END.signature);
    if (end < 0) throw new Error(`Cannot read "${path}": not a zip archive`);
    const count = tail.readUInt16LE(end + 10);
    const start = tail.readUInt32LE(end + 16);
    const directory = await readAt(file, start, start + tail.readUInt32LE(end + 12));
    return parseDirectory(directory, count, path);
  } finally {
    await file.close();
  }
}

function parseDirectory(directory, count, path) {
  const entries = [];
  let at = 0;
  for (let i = 0; i < count; i += 1) {
    if (directory.readUInt32LE(at) !== CENTRAL.signature) {
      throw new Error(`Cannot read "${path}": its directory is damaged`);
    }
    const nameBytes = directory.readUInt16LE(at + 28);
    const extra = directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
    const name = at + CENTRAL.byteLength;
    entries.push({
      name: directory.toString("utf8", name, name + nameBytes),
      method: directory.readUInt16LE(at + 10),
      packedBytes: directory.readUInt32LE(at + 20),
      bytes: directory.readUInt32LE(at + 24),
      localOffset: directory.readUInt32LE(at + 42),
    });
    at = name + nameBytes + extra;
  }
  return entries;
}

/** Unpacks one entry of `listZip` to the end of the file `output`. */
export async function appendEntry(path, entry, output) {
  if (entry.method !== STORED && entry.method !== DEFLATED) {
    throw new Error(`Cannot unpack "${entry.name}": method ${entry.method} is unknown`);
  }
  const file = await open(path, "r");
  const { localOffset } = entry;
  const local = await readAt(file, localOffset, localOffset + LOCAL.byteLength).finally(() =>
    file.close(),
  );
  if (local.readUInt32LE(0) !== LOCAL.signature) {
    throw new Error(`Cannot unpack "${entry.name}": its header is damaged`);
  }
  const names = local.readUInt16LE(26) + local.readUInt16LE(28);
  const start = localOffset + LOCAL.byteLength + names;
  const packed = createReadStream(path, { start, end: start + entry.packedBytes - 1 });
  const unpack = entry.method === DEFLATED ? [createInflateRaw()] : [];
  let bytes = 0;
  const count = new Transform({
    transform(chunk, _, done) {
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  await pipeline(packed, ...unpack, count, createWriteStream(output, { flags: "a" }));
  if (bytes !== entry.bytes) {
    throw new Error(`Cannot unpack "${entry.name}": ${bytes} of ${entry.bytes} bytes came out`);
  }
}

async function readAt(file, from, to) {
  const bytes = Buffer.alloc(to - from);
  await file.read(bytes, 0, bytes.length, from);
  return bytes;
}

function lastIndexOfSignature(bytes, signature) {
  const pattern = Buffer.alloc(4);
  pattern.writeUInt32LE(signature);
  return bytes.lastIndexOf(pattern);
}
