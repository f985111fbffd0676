// The tuning of kernels' sizes: how the fastest is found, what is kept, and that results stay.
import { create } from "webgpu";
import { describe, expect, it } from "vitest";
import { createReferenceEngine } from "../../../../src/engine/reference/engine.ts";
import { openDevice } from "../../../../src/engine/webgpu/device/device.ts";
import {
  DEFAULT_TUNING,
  LANE_FACTORS,
  TILE_TOKENS,
  type Tuning,
} from "../../../../src/engine/webgpu/device/tuning.ts";
import { WebGpuEngine } from "../../../../src/engine/webgpu/engine.ts";
import { frequenciesOf } from "../../../../src/engine/reference/ops.ts";
import { chooseTuning, tuneDevice } from "../../../../src/engine/webgpu/tuning/tune.ts";
import type { Notes } from "../../../../src/runtime/runtime.ts";
import { createNotes } from "../../../../src/runtime/storage/notes.ts";
import { createMemoryDriver } from "../../../../src/runtime/storage/memory.ts";
import { checkNormProject, matrix } from "../../../contract/engine/projections.ts";
import { F32_TOLERANCES } from "../../../contract/rig.ts";
import { Rng } from "../../../support/rng.ts";

const real = create([]);
/** Dawn's null adapter computes nothing, and so is soon done. */
const idle = create(["backend=null"]);

async function device(description?: string) {
  const gpu = description === undefined ? real : idle;
  const adapter = await gpu.requestAdapter();
  const opened = adapter === null ? null : await openDevice(adapter, { gpu });
  if (opened === null) throw new Error("These tests need WebGPU: install Chromium or a driver");
  if (description !== undefined) {
    Object.defineProperty(opened, "adapterInfo", { value: { ...opened.adapterInfo, description } });
  }
  return opened;
}

describe("choosing", () => {
  const clock = (ms: (tuning: Tuning, work: string) => number) => {
    let now = 0;
    const time = async (tuning: Tuning, work: string) => {
      const spent = ms(tuning, work);
      now += spent;
      return spent;
    };
    return [time, () => now] as const;
  };

  it("takes the fastest of each kind", async () => {
    const found = await chooseTuning(
      ...clock((tuning, work) =>
        work === "decode" ? 4 - tuning.laneFactor : tuning.tileTokens / 20,
      ),
    );
    expect(found).toEqual({ laneFactor: 2, tileTokens: 32 });
  });

  it("keeps the default for a gain that may be noise", async () => {
    const found = await chooseTuning(
      ...clock(({ laneFactor, tileTokens }) => 3 - 0.05 * laneFactor + tileTokens / 1000),
    );
    expect(found).toEqual(DEFAULT_TUNING);
  });

  it("stops in time, with the default where not every size was timed", async () => {
    const [time, now] = clock(({ laneFactor }) => (laneFactor === 1 ? 250 : 1));
    expect(await chooseTuning(time, now)).toEqual(DEFAULT_TUNING);
    expect(now()).toBeLessThanOrEqual(650);
  });
});

describe("on a device", () => {
  it("measures once, then finds the note again; another version or a damaged one is not taken", async () => {
    const texts = new Map<string, string>();
    const notes: Notes = {
      read: async (name) => texts.get(name) ?? null,
      write: async (name, text) => void texts.set(name, text),
    };
    const first = await device("card A");
    expect((await tuneDevice(first, notes)).source).toBe("measured");
    expect(first.reservedBytes).toBe(0);
    expect([...texts.keys()]).toEqual([expect.stringMatching(/^tuning-[a-z0-9-]*card-a\.json$/)]);
    expect((await tuneDevice(first, notes)).source).toBe("stored"); // of this process

    const read = async (card: string, text: string) => {
      const [name = ""] = texts.keys();
      texts.set(name.replace("card-a", card.replace(" ", "-").toLowerCase()), text);
      const opened = await device(card);
      const report = await tuneDevice(opened, notes);
      expect(opened.tuning).toEqual({
        laneFactor: report.laneFactor,
        tileTokens: report.tileTokens,
      });
      opened.dispose();
      return report;
    };
    const stored = '{"version":1,"laneFactor":0.5,"tileTokens":32}';
    expect(await read("card B", stored)).toEqual({
      laneFactor: 0.5,
      tileTokens: 32,
      source: "stored",
    });
    expect((await read("card C", stored.replace("1", "9"))).source).toBe("measured");
    expect((await read("card D", "{")).source).toBe("measured");
    expect((await read("card E", stored.replace("0.5", "0.7"))).source).toBe("measured");
    first.dispose();
  });

  it("storage that fails fails no load", async () => {
    const notes: Notes = {
      read: () => Promise.reject(new Error("no")),
      write: () => Promise.reject(new Error("no")),
    };
    const opened = await device("card F");
    expect((await tuneDevice(opened, notes)).source).toBe("measured");
    opened.dispose();
  });

  it("a device that is gone is not tuned, and another one of its kind is measured", async () => {
    const gone = await device("card G");
    gone.dispose();
    expect(await tuneDevice(gone, null)).toEqual({ ...DEFAULT_TUNING, source: "off" });
    const other = await device("card G");
    expect((await tuneDevice(other, null)).source).toBe("measured");
    other.dispose();
  });

  for (const laneFactor of LANE_FACTORS) {
    const tileTokens = TILE_TOKENS[LANE_FACTORS.indexOf(laneFactor) % TILE_TOKENS.length] ?? 64;
    it(`lanes x ${laneFactor}, tiles of ${tileTokens}: products as the reference's`, async () => {
      const opened = await device();
      opened.tuning = { laneFactor, tileTokens };
      const engine = new WebGpuEngine(opened, frequenciesOf, 1);
      const oracle = createReferenceEngine();
      const engines = { engine, oracle, exact: oracle };
      const suite = { engines: () => engines, tolerances: F32_TOLERANCES };
      const rng = new Rng(7);
      for (const nTokens of [1, 5, 33, 100]) {
        await checkNormProject(suite, rng, [matrix(rng, "Q4_0", 70, 576)], nTokens, [0]);
      }
      engine.dispose();
    });
  }
});

describe("notes", () => {
  it("are kept by name and replaced whole", async () => {
    const notes = createNotes(async () => createMemoryDriver());
    expect(await notes.read("a.json")).toBeNull();
    await notes.write("a.json", "first, longer");
    await notes.write("a.json", "second");
    expect(await notes.read("a.json")).toBe("second");
    expect(await notes.read("b.json")).toBeNull();
  });
});
