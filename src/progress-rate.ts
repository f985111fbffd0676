import type { LoadProgress } from "./types.ts";

/** Older steps say nothing about the speed now, ms. */
const WINDOW_MS = 3_000;
/** The last step of each such stretch of time is remembered, ms. */
const SAMPLE_MS = 100;

interface Sample {
  readonly ms: number;
  readonly bytes: number;
}

/** Adds to each step how fast its phase went in the last seconds. @param now For tests, ms. */
export function withRate(
  onProgress: (progress: LoadProgress) => void,
  now: () => number = () => performance.now(),
): (progress: Omit<LoadProgress, "rate">) => void {
  let phase: LoadProgress["phase"] | undefined;
  let samples: Sample[] = [];
  return (progress) => {
    const own = { ms: now(), bytes: progress.bytes };
    // A phase, or a file of several, begins anew.
    if (progress.phase !== phase || own.bytes < (samples.at(-1)?.bytes ?? 0)) samples = [];
    ({ phase } = progress);
    const last = samples.at(-1);
    if (last === undefined || own.ms - last.ms >= SAMPLE_MS) samples.push(own);
    while (samples.length > 2 && own.ms - (samples[0]?.ms ?? 0) > WINDOW_MS) samples.shift();
    const { ms, bytes } = samples[0] ?? own;
    const rate = own.ms > ms ? ((own.bytes - bytes) * 1000) / (own.ms - ms) : 0;
    onProgress({ ...progress, rate });
  };
}
