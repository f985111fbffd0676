// Times the sizes of `Tuning` on a device, once for each adapter, and remembers which was the fastest.
import type { Notes } from "../../../runtime/runtime.ts";
import type { GpuDevice } from "../device/device.ts";
import {
  DEFAULT_TUNING,
  LANE_FACTORS,
  TILE_TOKENS,
  type Tuning,
  tuningOf,
} from "../device/tuning.ts";
import { ProductClock, type Work } from "./product-clock.ts";

/** After which nothing more is timed, milliseconds. */
const MAX_MS = 400;
/** Batches of each size, after one that compiles. */
const N_ROUNDS = 4;
/** What another size than the default must gain: less may be noise. */
const MIN_GAIN = 0.05;
/** Of the note; another one is not understood. */
const VERSION = 1;

/** What the device is tuned to, and how that was found. */
export interface TuningReport extends Tuning {
  /** `measured`: just now. `stored`: at an earlier load. `off`: the defaults. */
  readonly source: "measured" | "stored" | "off";
}

export const UNTUNED: TuningReport = { ...DEFAULT_TUNING, source: "off" };

/** Choices of this process, by the adapter's note. */
const remembered = new Map<string, Tuning>();

/**
 * Has the device use the sizes that suit it: those that were found earlier on such an adapter, or the
 * fastest now. Must come before its first kernel.
 *
 * @param notes Where choices outlive the program; null: each process measures anew.
 * @returns What it is tuned to; `off` where nothing could be timed, which no load fails for.
 */
export async function tuneDevice(gpu: GpuDevice, notes: Notes | null): Promise<TuningReport> {
  const name = noteName(gpu);
  const known = remembered.get(name) ?? (await readNote(notes, name));
  if (known === null) await gpu.prepared;
  const tuning = known ?? (await measure(gpu).catch(nothing));
  if (tuning === null) return UNTUNED;
  gpu.tuning = tuning;
  remembered.set(name, tuning);
  if (known !== null) return { ...known, source: "stored" };
  const note = JSON.stringify({ version: VERSION, ...tuning });
  await notes?.write(name, note).catch(nothing);
  return { ...tuning, source: "measured" };
}

async function measure(gpu: GpuDevice): Promise<Tuning> {
  const clock = new ProductClock(gpu);
  try {
    return await chooseTuning((tuning, work) => clock.time(tuning, work));
  } finally {
    clock.dispose();
  }
}

/**
 * The fastest sizes, one kind after the other. Where the time is over before each size of a kind was
 * timed once, the default stays.
 *
 * @param time Milliseconds of one batch.
 */
export async function chooseTuning(
  time: (tuning: Tuning, work: Work) => Promise<number>,
  now: () => number = () => performance.now(),
): Promise<Tuning> {
  const end = now() + MAX_MS;
  let tuning = DEFAULT_TUNING;
  const kinds: readonly (readonly [Work, readonly Partial<Tuning>[]])[] = [
    ["decode", LANE_FACTORS.map((laneFactor) => ({ laneFactor }))],
    ["prefill", TILE_TOKENS.map((tileTokens) => ({ tileTokens }))],
  ];
  for (const [work, sizes] of kinds) {
    const candidates = sizes.map((size) => ({ ...tuning, ...size }));
    const best = candidates.map(() => Infinity);
    // Round by round: a GPU that wakes up, or grows hot, does so for all of them.
    for (let round = -1; round < N_ROUNDS && now() < end; round++) {
      for (const [i, candidate] of candidates.entries()) {
        if (now() >= end) break;
        const ms = await time(candidate, work);
        if (round >= 0) best[i] = Math.min(best[i] ?? Infinity, ms);
      }
    }
    tuning = fastestOf(candidates, best) ?? tuning;
  }
  return tuning;
}

/** The first one, which is the default, unless another is faster by more than noise. */
function fastestOf(candidates: readonly Tuning[], best: readonly number[]): Tuning | undefined {
  const fastest = Math.min(...best);
  const isMeasured = best.every(Number.isFinite);
  if (!isMeasured || fastest > (best[0] ?? 0) * (1 - MIN_GAIN)) return candidates[0];
  return candidates[best.indexOf(fastest)];
}

/** Adapters that say the same of themselves share a note. */
function noteName({ adapterInfo }: GpuDevice): string {
  const { vendor, architecture, device, description } = adapterInfo;
  const text = [vendor, architecture, device, description].join(" ").toLowerCase();
  return `tuning-${text.replace(/[^a-z0-9]+/g, "-").slice(0, 120)}.json`;
}

async function readNote(notes: Notes | null, name: string): Promise<Tuning | null> {
  const text = (await notes?.read(name).catch(nothing)) ?? null;
  if (text === null) return null;
  try {
    const note = (JSON.parse(text) ?? {}) as { version?: unknown };
    return note.version === VERSION ? tuningOf(note) : null;
  } catch {
    return null; // damaged: measured anew
  }
}

/** Where nothing can be kept, or be read again, it is measured anew: no load fails for it. */
function nothing(): null {
  return null;
}
