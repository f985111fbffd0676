// What fits one GPU better than another: sizes that change speed, never more than a result's last bits.

export interface Tuning {
  /** Invocations of mat_vec for a row, as a factor of what its length suggests: 0.5, 1 or 2. */
  readonly laneFactor: number;
  /** Tokens of a tile of mat_mul: 32 or 64. */
  readonly tileTokens: number;
}

export const DEFAULT_TUNING: Tuning = { laneFactor: 1, tileTokens: 64 };

export const LANE_FACTORS: readonly number[] = [1, 0.5, 2];
export const TILE_TOKENS: readonly number[] = [64, 32];

/** `value` where it is a tuning that the kernels have; else null. */
export function tuningOf(value: unknown): Tuning | null {
  if (typeof value !== "object" || value === null) return null;
  const { laneFactor, tileTokens } = value as Partial<Tuning>;
  const lanes = LANE_FACTORS.find((one) => one === laneFactor);
  const tokens = TILE_TOKENS.find((one) => one === tileTokens);
  if (lanes === undefined || tokens === undefined) return null;
  return { laneFactor: lanes, tileTokens: tokens };
}
