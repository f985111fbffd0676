// Tables on a terminal: columns as wide as their cells; one column may wrap to make room.

export interface TextColumn {
  readonly title: string;
  /** Numbers stand to the right. */
  readonly isNumber?: boolean;
  /** Its cells wrap where the table is wider than it may be. */
  readonly wraps?: boolean;
}

const GAP = 2;
/** A column that wraps gets no narrower than this. */
const MIN_WRAPPED = 24;

/**
 * @param width Characters that a line may have, Infinity for no limit.
 * @returns Lines with their ends; the first is the titles.
 */
export function textTable(
  columns: readonly TextColumn[],
  rows: readonly (readonly string[])[],
  width = Infinity,
): string {
  const widths = columns.map(({ title }, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const total = widths.reduce((sum, one) => sum + one + GAP, -GAP);
  const wrapped = columns.findIndex(({ wraps }) => wraps === true);
  if (total > width && wrapped >= 0) {
    const left = (widths[wrapped] ?? 0) - (total - width);
    widths[wrapped] = Math.max(MIN_WRAPPED, left);
  }
  return [columns.map(({ title }) => title), ...rows]
    .flatMap((row) => {
      const cells = columns.map((_, i) => wrap(row[i] ?? "", widths[i] ?? 0));
      const height = Math.max(...cells.map((lines) => lines.length));
      return Array.from({ length: height }, (_, line) =>
        cells.map((lines, i) => pad(lines[line] ?? "", widths[i] ?? 0, columns[i])),
      );
    })
    .map((cells) => `${cells.join(" ".repeat(GAP)).trimEnd()}\n`)
    .join("");
}

function pad(text: string, width: number, column: TextColumn | undefined): string {
  return column?.isNumber === true ? text.padStart(width) : text.padEnd(width);
}

/** Lines of at most `width` characters; a longer word has a line of its own. */
function wrap(text: string, width: number): string[] {
  if (text.length <= width) return [text];
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (longer.length <= width || line === "") line = longer;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line];
}
