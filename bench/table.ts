// Markdown tables as Prettier leaves them, and their place between markers in a page.

export interface Column {
  readonly title: string;
  /** Numbers stand to the right. */
  readonly isNumber?: boolean;
}

export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string {
  const escaped = rows.map((row) => columns.map((_, i) => (row[i] ?? "").replaceAll("|", "\\|")));
  const widths = columns.map(({ title }, i) =>
    Math.max(3, title.length, ...escaped.map((row) => row[i]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const pad = (cell: string, i: number): string => {
    const width = widths[i] ?? 0;
    return columns[i]?.isNumber === true ? cell.padStart(width) : cell.padEnd(width);
  };
  const rules = columns.map(({ isNumber = false }, i) => {
    const width = widths[i] ?? 0;
    return isNumber ? `${"-".repeat(width - 1)}:` : "-".repeat(width);
  });
  const titles = columns.map(({ title }, i) => pad(title, i));
  return [line(titles), line(rules), ...escaped.map((row) => line(row.map(pad)))].join("\n");
}

export interface Rewritten {
  readonly text: string;
  /** Names of what was given and has no place in the page. */
  readonly missing: readonly string[];
}

/**
 * Puts `parts[NAME]` between `<!-- bench:NAME -->` and the next `<!-- /bench -->`; places without a
 * part stay as they are.
 * @throws When a marker is not closed.
 */
export function rewriteMarkers(page: string, parts: Readonly<Record<string, string>>): Rewritten {
  const found = new Set<string>();
  const text = page.replace(
    /<!-- bench:([\w-]+) -->([\s\S]*?)(<!-- \/bench -->|<!-- bench:|$(?![\s\S]))/g,
    (whole, name: string, _inner: string, end: string) => {
      if (end !== "<!-- /bench -->") {
        throw new Error(`Cannot rewrite the page: the marker "bench:${name}" is not closed`);
      }
      const part = parts[name];
      if (part === undefined) return whole;
      found.add(name);
      return `<!-- bench:${name} -->\n\n${part.trim()}\n\n${end}`;
    },
  );
  return { text, missing: Object.keys(parts).filter((name) => !found.has(name)) };
}

/** Three significant figures below 100, none after the point above, thousands apart. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (Math.abs(value) >= 99.95) return Math.round(value).toLocaleString("en-US");
  if (value === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 6));
}

export const formatMegabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
export const formatPercent = (fraction: number): string => `${(100 * fraction).toFixed(1)} %`;
