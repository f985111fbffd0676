// Numbers as people read them. Sizes are binary (KiB, MiB), as the cache is counted.

const BINARY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** `1536` -> "1.50 KiB"; three significant digits. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < BINARY_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : threeDigits(value)} ${BINARY_UNITS[unit] ?? "B"}`;
}

/** Three significant digits, never an exponent. */
function threeDigits(value: number): string {
  const whole = Math.abs(value);
  if (whole >= 99.95) return value.toFixed(0);
  return value.toFixed(whole >= 9.995 ? 1 : 2);
}

/** `12345` -> "12,345". */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

export function formatMs(ms: number): string {
  return ms < 999.5 ? `${ms.toFixed(0)} ms` : `${threeDigits(ms / 1000)} s`;
}

/** Tokens per second; "-" before anything was measured. */
export function formatRate(perSecond: number): string {
  if (!Number.isFinite(perSecond) || perSecond <= 0) return "-";
  return perSecond >= 1000 ? formatCount(perSecond) : threeDigits(perSecond);
}

export function formatPercent(fraction: number): string {
  const percent = 100 * fraction;
  return `${percent > 0 && percent < 9.95 ? percent.toFixed(1) : percent.toFixed(0)} %`;
}

/** A bar of `width` characters; anything above nothing shows at least one filled cell. */
export function formatBar(fraction: number, width: number, isTty: boolean): string {
  const clamped = Math.min(1, Math.max(0, Number.isFinite(fraction) ? fraction : 0));
  const filled = clamped === 0 ? 0 : Math.max(1, Math.round(clamped * width));
  const [full, empty] = isTty ? ["█", "░"] : ["#", "-"];
  return full.repeat(filled) + empty.repeat(width - filled);
}

const BYTE_FACTORS: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  m: 1e6,
  mb: 1e6,
  g: 1e9,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** "64MB" (10^6), "10MiB" (2^20), "4096"; undefined when it is no size above zero. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const factor = BYTE_FACTORS[(match?.[2] ?? "").toLowerCase()];
  if (match === null || factor === undefined) return undefined;
  const bytes = Math.floor(Number(match[1]) * factor);
  return bytes >= 1 && Number.isSafeInteger(bytes) ? bytes : undefined;
}
