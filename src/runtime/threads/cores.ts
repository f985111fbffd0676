// How many physical cores there are, from what platforms tell: a second thread on the same core gives the
// kernels next to nothing.

/** Where only logical cores are told: half of them, as most machines have two for each core. */
export function guessCores(nLogical: number): number {
  return nLogical <= 2 ? Math.max(1, nLogical) : Math.ceil(nLogical / 2);
}

/**
 * Linux: the distinct cores that /proc/cpuinfo lists.
 * @returns null where it does not tell, as on most ARM machines, which have one thread for each core.
 */
export function listedCores(cpuinfo: string): number | null {
  const cores = new Set<string>();
  for (const processor of cpuinfo.split(/\n\s*\n/)) {
    const core = /^core id\s*:\s*(\d+)/m.exec(processor)?.[1];
    const socket = /^physical id\s*:\s*(\d+)/m.exec(processor)?.[1] ?? "0";
    if (core !== undefined) cores.add(`${socket} ${core}`);
  }
  return cores.size === 0 ? null : cores.size;
}

/**
 * Linux: the whole cores that a container may use, from its cpu.max ("200000 100000", microseconds of
 * each period; "max 100000"). At least 1.
 * @returns null without a limit.
 */
export function quotaCores(cpuMax: string): number | null {
  const [, quota, period] = /^(\d+) (\d+)/.exec(cpuMax) ?? [];
  if (quota === undefined || Number(period) === 0) return null;
  return Math.max(1, Math.floor(Number(quota) / Number(period)));
}
