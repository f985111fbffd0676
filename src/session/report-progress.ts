// The steps of everything that works at a load -> one story for the caller: phases in order, with rates.
import type { LoadProgress } from "../types.ts";

/** Older steps say nothing about the speed now, ms. */
const WINDOW_MS = 3_000;
/** The last step of each such stretch of time is remembered, ms. */
const SAMPLE_MS = 100;

interface Sample {
  readonly ms: number;
  readonly bytes: number;
}

type Step = Omit<LoadProgress, "rate">;

/**
 * Adds to each step how fast its phase went in the last seconds. Weights are loaded while they are
 * downloaded: their steps are held back until the download is done, and nothing follows the last.
 *
 * @param now For tests, ms.
 */
export function createReport(
  onProgress: (progress: LoadProgress) => void,
  now: () => number = () => performance.now(),
): (progress: Step) => void {
  let isDownloading = false;
  let isOver = false;
  let phase: LoadProgress["phase"] | undefined;
  let samples: Sample[] = [];
  return (progress) => {
    const { bytes, totalBytes } = progress;
    if (progress.phase === "download") isDownloading = bytes !== totalBytes;
    const isLast = progress.phase === "load" && bytes === totalBytes;
    if (isOver || (progress.phase === "load" && isDownloading && !isLast)) return;
    isOver = isLast;
    const own = { ms: now(), bytes };
    // A phase, or a file of several, begins anew.
    if (progress.phase !== phase || bytes < (samples.at(-1)?.bytes ?? 0)) samples = [];
    ({ phase } = progress);
    samples = withSample(samples, own);
    onProgress({ ...progress, rate: rateOf(samples[0] ?? own, own) });
  };
}

function withSample(samples: readonly Sample[], own: Sample): Sample[] {
  const last = samples.at(-1);
  const isDue = last === undefined || own.ms - last.ms >= SAMPLE_MS;
  const all = isDue ? [...samples, own] : [...samples];
  while (all.length > 2 && own.ms - (all[0]?.ms ?? 0) > WINDOW_MS) all.shift();
  return all;
}

/** Bytes a second. */
function rateOf(from: Sample, to: Sample): number {
  return to.ms > from.ms ? ((to.bytes - from.bytes) * 1000) / (to.ms - from.ms) : 0;
}
