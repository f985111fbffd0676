// What every storage driver promises, as plain functions: they run in Node and, bundled, in pages and
// workers of a browser. A case throws where the promise is broken.
import type { ByteSource } from "../../src/gguf/byte-source.ts";
import type { StorageDriver } from "../../src/runtime/storage/storage.ts";

export interface StorageCase {
  readonly name: string;
  /** @param driver Of a folder that is not there yet. */
  run(driver: StorageDriver): Promise<void>;
}

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

async function bytesOf(driver: StorageDriver, name: string): Promise<Uint8Array | null> {
  const source = await driver.open(name);
  if (source === null) return null;
  const bytes = await source.read(0, source.size);
  await source.close?.();
  return bytes;
}

async function checkBytes(driver: StorageDriver, name: string, wanted: Uint8Array): Promise<void> {
  const bytes = await bytesOf(driver, name);
  check(bytes !== null, `${name} is there`);
  const at = wanted.findIndex((byte, i) => byte !== bytes?.[i]);
  const length = `${bytes?.length} of ${wanted.length} bytes`;
  check(bytes?.length === wanted.length && at < 0, `${name}: ${length}, first wrong at ${at}`);
}

async function checkCode(code: string, action: () => Promise<unknown>): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    const got = (error as { code?: unknown }).code;
    check(got === code, `should be refused with "${code}", got "${String(got)}": ${String(error)}`);
    return error;
  }
  throw new Error(`should be refused with "${code}"`);
}

/** Bytes that repeat nowhere within a case. */
function pattern(byteLength: number, seed = 1): Uint8Array {
  const words = new Uint32Array(Math.ceil(byteLength / 4));
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + seed, 2654435761);
  return new Uint8Array(words.buffer, 0, byteLength);
}

async function put(
  driver: StorageDriver,
  name: string,
  at: number,
  ...writes: readonly Uint8Array[]
): Promise<void> {
  const writer = await driver.write(name, at);
  for (const bytes of writes) await writer.write(bytes);
  await writer.close();
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export const STORAGE_CASES: readonly StorageCase[] = [
  {
    name: "an empty folder: nothing is listed, opened or missed",
    async run(driver) {
      check((await driver.list()).length === 0, "nothing is listed");
      check((await driver.names()).length === 0, "nothing is named");
      check((await driver.open("a")) === null, "nothing is opened");
      await driver.remove("a");
      const free = await driver.freeBytes();
      check(free === undefined || free > 0, `free: ${free}`);
    },
  },
  {
    name: "write: bytes come back whole and in ranges",
    async run(driver) {
      const bytes = pattern(9_000_001);
      const cuts = [0, 1, 70_000, 70_001, 5_000_000, bytes.length];
      await put(driver, "a", 0, ...cuts.slice(1).map((end, i) => bytes.subarray(cuts[i], end)));
      await checkBytes(driver, "a", bytes);
      const source = (await driver.open("a")) as ByteSource;
      const range = await source.read(69_999, 4_930_003);
      check(range.length === 4_930_003, "a range is as long as asked");
      check(
        range.every((byte, i) => byte === bytes[69_999 + i]),
        "a range is right",
      );
      await checkCode("bad-gguf", async () => source.read(bytes.length - 1, 2));
      await source.close?.();
    },
  },
  {
    name: "list: names and sizes",
    async run(driver) {
      await put(driver, "one.gguf", 0, pattern(10));
      await put(driver, "none", 0);
      await driver.replace("record.json", pattern(7));
      const files = [...(await driver.list())].sort((a, b) => (a.name < b.name ? -1 : 1));
      const found = files.map(({ name, byteLength }) => `${name} ${byteLength}`).join(", ");
      check(found === "none 0, one.gguf 10, record.json 7", found);
      const names = [...(await driver.names())].sort().join(", ");
      check(names === "none, one.gguf, record.json", names);
    },
  },
  {
    name: "write: goes on anywhere and cuts off what lies behind, against plain bytes",
    async run(driver) {
      let state = 7;
      const random = (limit: number): number => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor((state / 2 ** 32) * limit);
      };
      let model = new Uint8Array(0);
      for (let step = 0; step < 24; step++) {
        const at = step % 4 === 0 ? model.length : random(model.length + 1);
        const added = [pattern(random(5000), step + 1), pattern(random(3000), step + 99)];
        await put(driver, "a", at, ...added);
        model = Uint8Array.of(...model.subarray(0, at), ...added.flatMap((part) => [...part]));
        await checkBytes(driver, "a", model);
      }
    },
  },
  {
    name: "write: bad-option past the end, disposed after close",
    async run(driver) {
      await put(driver, "a", 0, pattern(10));
      await checkCode("bad-option", async () => driver.write("a", 11));
      await checkCode("bad-option", async () => driver.write("b", 1));
      await checkBytes(driver, "a", pattern(10));
      const writer = await driver.write("a", 10);
      await writer.close();
      await writer.close();
      await checkCode("disposed", async () => writer.write(pattern(1)));
      await checkCode("disposed", async () => writer.flush());
    },
  },
  {
    name: "flush: what was written is there, and writing goes on",
    async run(driver) {
      const bytes = pattern(30_000);
      const writer = await driver.write("a", 0);
      await writer.write(bytes.subarray(0, 10_000));
      await writer.flush();
      const seen = await bytesOf(driver, "a");
      check(seen !== null && seen.length >= 10_000, `after a flush: ${seen?.length} bytes`);
      check((await driver.list())[0]?.byteLength === seen?.length, "the list knows");
      await writer.write(bytes.subarray(10_000, 20_000));
      await writer.flush();
      await writer.flush();
      await writer.write(bytes.subarray(20_000));
      await writer.close();
      await checkBytes(driver, "a", bytes);
    },
  },
  {
    name: "replace: readers see old bytes or new ones, never a mixture",
    async run(driver) {
      await driver.replace("a", new Uint8Array(5000).fill(1));
      let isDone = false;
      const seen = new Set<string>();
      const reading = (async () => {
        while (!isDone) {
          const bytes = await bytesOf(driver, "a").catch(() => undefined); // replaced under the reader
          if (bytes === undefined) continue;
          const [kind] = bytes ?? [];
          const length = kind === 1 ? 5000 : 9000;
          check(bytes?.length === length, `${bytes?.length} bytes of kind ${kind}`);
          check(bytes?.every((byte) => byte === kind) === true, "a mixture");
          seen.add(String(kind));
          await pause(1);
        }
      })();
      for (let i = 0; i < 20; i++) {
        const isOdd = i % 2 === 1;
        await driver.replace("a", new Uint8Array(isOdd ? 5000 : 9000).fill(isOdd ? 1 : 2));
        await pause(2);
      }
      isDone = true;
      await reading;
      check(seen.size > 0, "the reader saw something");
      await checkBytes(driver, "a", new Uint8Array(5000).fill(1));
      check((await driver.list()).length === 1, "nothing else stays");
    },
  },
  {
    name: "remove: the file is gone, its name can be used again",
    async run(driver) {
      await put(driver, "a", 0, pattern(100));
      await put(driver, "b", 0, pattern(50));
      await driver.remove("a");
      check((await driver.open("a")) === null, "gone");
      check((await driver.list()).map(({ name }) => name).join() === "b", "the other stays");
      await put(driver, "a", 0, pattern(20, 5));
      await checkBytes(driver, "a", pattern(20, 5));
    },
  },
  {
    name: "lock: one at a time, in whatever order",
    async run(driver) {
      let inside = 0;
      let most = 0;
      const action = async (): Promise<number> => {
        most = Math.max(most, ++inside);
        await pause(5);
        return --inside;
      };
      await Promise.all([1, 2, 3, 4].map(async () => driver.lock("x", {}, action)));
      check(most === 1 && inside === 0, `${most} at once`);
      const other = await driver.lock("x", {}, async () => driver.lock("y", {}, async () => 3));
      check(other === 3, "another name is another lock");
    },
  },
  {
    name: "lock: busy without waiting, aborted while waiting, free after a failure",
    async run(driver) {
      await driver.lock("x", {}, async () => {
        await checkCode("busy", async () =>
          driver.lock("x", { isWaiting: false }, pause.bind(0, 0)),
        );
        const signal = AbortSignal.timeout(20);
        const waiting = () => driver.lock("x", { signal }, async () => undefined);
        const error = await checkCode("aborted", waiting);
        check((error as Error).cause === signal.reason, "the cause is the signal's reason");
        const early = { signal: AbortSignal.abort("why") };
        await checkCode("aborted", async () => driver.lock("x", early, async () => undefined));
      });
      const failure = await driver
        .lock("x", {}, async () => Promise.reject(new Error("mine")))
        .catch((error: unknown) => error);
      check((failure as Error).message === "mine", "the action's error comes through");
      check((await driver.lock("x", { isWaiting: false }, async () => 1)) === 1, "free again");
    },
  },
  {
    name: "createSha256: the standard's example, in pieces",
    async run(driver) {
      const hash = driver.createSha256();
      for (const letter of "abc") hash.update(new TextEncoder().encode(letter));
      const wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
      check(hash.hex() === wanted, "FIPS 180-4, SHA-256 of abc");
    },
  },
];
