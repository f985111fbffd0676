import { afterEach, describe, expect, it } from "vitest";
import { HttpStream } from "../../../src/runtime/http-stream.ts";
import { startFaultServer, type Faults, type FaultServer } from "../../support/fault-server.ts";
import { pattern, seededCuts } from "./pattern.ts";

const bytes = pattern(300_000);
const options = { backoffMs: 1, attempts: 4 };
let server: FaultServer | undefined;

async function open(faults: Faults, position = 0): Promise<HttpStream> {
  server = await startFaultServer(bytes, faults);
  return HttpStream.open(server.url, options, position);
}

/** Buffer.compare, since toEqual takes a second for so many bytes. */
async function expectRest(stream: HttpStream, expected: Uint8Array): Promise<void> {
  const chunks: Uint8Array[] = [];
  for (let chunk = await stream.next(); chunk !== null; chunk = await stream.next()) {
    chunks.push(chunk);
  }
  expect(Buffer.compare(Buffer.concat(chunks), expected)).toBe(0);
}

afterEach(async () => {
  await server?.close();
});

describe("HttpStream", () => {
  it("reads a whole file and knows its size", async () => {
    const stream = await open({});
    expect(stream.size).toBe(bytes.length);
    await expectRest(stream, bytes);
    expect(server!.ranges).toEqual(["bytes=0-"]);
  });

  it("starts at a position", async () => {
    const stream = await open({}, 1234);
    await expectRest(stream, bytes.subarray(1234));
  });

  for (const seed of [1, 2, 3, 4, 5]) {
    it(`goes on after cuts at any byte, seed ${seed}`, async () => {
      const cuts = seededCuts(seed, 6, 60_000);
      const stream = await open({ cuts: [...cuts] });
      await expectRest(stream, bytes);
      const starts = server!.ranges.map((range) => Number(/\d+/.exec(range ?? "")![0]));
      expect(starts.length).toBeGreaterThan(1);
      expect([...starts].sort((a, b) => a - b)).toEqual(starts);
    });

    it(`reads again and skips where there are no ranges, seed ${seed}`, async () => {
      const stream = await open({ ranges: false, cuts: seededCuts(seed, 3, 200_000) }, 77_777);
      await expectRest(stream, bytes.subarray(77_777));
      expect(stream.acceptsRanges).toBe(false);
    });
  }

  it("reads an answer of unknown length", async () => {
    const stream = await open({ ranges: false, isChunked: true });
    expect(stream.size).toBeUndefined();
    await expectRest(stream, bytes);
  });

  it("repeats after 500 and 503", async () => {
    const stream = await open({ statuses: [500, 503] });
    await expectRest(stream, bytes);
  });

  it("gives up with network after as many failures as allowed", async () => {
    await expect(open({ statuses: [500, 500, 500, 500] })).rejects.toMatchObject({
      code: "network",
      message: expect.stringContaining("answered 500") as string,
    });
    expect(server!.ranges.length).toBe(4);
  });

  for (const status of [404, 410]) {
    it(`throws not-found on ${status}, at once`, async () => {
      await expect(open({ statuses: [status] })).rejects.toMatchObject({ code: "not-found" });
      expect(server!.ranges.length).toBe(1);
    });
  }

  for (const status of [401, 403, 416]) {
    it(`throws network on ${status}, at once`, async () => {
      await expect(open({ statuses: [status] })).rejects.toMatchObject({ code: "network" });
      expect(server!.ranges.length).toBe(1);
    });
  }

  it("is at its end when it starts at the file's size", async () => {
    const stream = await open({}, bytes.length);
    expect(await stream.next()).toBeNull();
  });

  it("throws network when it starts past the file's end", async () => {
    await expect(open({}, bytes.length + 1)).rejects.toMatchObject({ code: "network" });
  });

  it("throws network when the file changed between two requests", async () => {
    const stream = await open({ cuts: [1000], etag: (n) => `"${n}"` });
    await expect(expectRest(stream, bytes)).rejects.toMatchObject({
      code: "network",
      message: expect.stringContaining("changed") as string,
    });
  });

  it("takes a connection that brings nothing as cut", async () => {
    server = await startFaultServer(bytes, { stallAfter: 5000 });
    const stream = await HttpStream.open(server.url, { ...options, stallMs: 100 });
    await expectRest(stream, bytes);
    expect(server.ranges).toEqual(["bytes=0-", "bytes=5000-"]);
  });

  it("throws network when nobody listens", async () => {
    server = await startFaultServer(bytes);
    await server.close();
    await expect(HttpStream.open(server.url, options)).rejects.toMatchObject({ code: "network" });
  });

  it("throws aborted with the signal's reason, and can be read on", async () => {
    const stream = await open({ stallAfter: 5000 });
    const first = await stream.next();
    const controller = new AbortController();
    setTimeout(() => controller.abort("enough"), 20);
    const blocked = (async () => {
      for (;;) await stream.next(controller.signal);
    })();
    await expect(blocked).rejects.toMatchObject({ code: "aborted", cause: "enough" });
    expect(stream.position).toBeGreaterThanOrEqual(first!.length);
    const from = stream.position;
    await expectRest(stream, bytes.subarray(from));
  });

  it("throws aborted during a wait between repeats", async () => {
    server = await startFaultServer(bytes, { statuses: [500, 500] });
    const signal = AbortSignal.timeout(30);
    const opening = HttpStream.open(server.url, { backoffMs: 60_000 }, 0, signal);
    await expect(opening).rejects.toMatchObject({ code: "aborted" });
  });

  it("closes its connection on cancel", async () => {
    const stream = await open({ stallAfter: 5000 });
    await stream.next();
    stream.cancel();
    await expect.poll(() => server!.nAnswers()).toBe(0);
  });
});
