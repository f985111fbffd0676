// The cells of a screen as an SVG: a window, monospaced text in the reader's own font.

const CELL = { width: 8.4, height: 19, size: 14 };
const PAD = 18;
const BAR = 34;
const INK = "#d6dde6";
const COLOURS = ["#6b7682", "#f0736a", "#7cc77a", "#e0b04f", "#6aa9f0", "#c08be0", "#5fc3c8", INK];
/** Blocks are drawn, since fonts leave gaps between them: character -> opacity. */
const BLOCKS = { "█": 1, "▓": 0.7, "▒": 0.45, "░": 0.22 };

export function screenToSvg(lines, { columns, title }) {
  const width = Math.round(columns * CELL.width + 2 * PAD);
  const height = Math.round(BAR + lines.length * CELL.height + 1.5 * PAD);
  const dots = ["#f0736a", "#e0b04f", "#7cc77a"].map(
    (fill, i) => `<circle cx="${20 + 18 * i}" cy="${BAR / 2}" r="5.5" fill="${fill}"/>`,
  );
  const label = escape(title);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Terminal: ${label}">`,
    `<rect x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="9" fill="#151a21" stroke="#3a434e"/>`,
    ...dots,
    `<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${CELL.size}" fill="${INK}" style="white-space: pre">`,
    `<text x="${width / 2}" y="${BAR / 2 + 5}" text-anchor="middle" opacity=".6">${label}</text>`,
    ...lines.flatMap((line, row) => runsOf(line).map((run) => draw(run, row))),
    "</g>",
    "</svg>",
    "",
  ].join("\n");
}

/** Neighbours that look the same. */
function runsOf(line) {
  const runs = [];
  for (const [column, cell] of line.entries()) {
    const { character = " ", isBold = false, isDim = false, colour = null } = cell ?? {};
    const isBlock = character in BLOCKS;
    const look = `${isBold} ${isDim} ${colour} ${isBlock ? character : ""}`;
    const last = runs.at(-1);
    if (last?.look === look) last.text += character;
    else runs.push({ look, column, text: character, isBold, isDim, colour, isBlock });
  }
  return runs.filter(({ text }) => text.trim() !== "").map(trim);
}

/** Renderers differ in what they do with spaces at the ends of a text. */
function trim(run) {
  const text = run.text.trimStart();
  return { ...run, column: run.column + run.text.length - text.length, text: text.trimEnd() };
}

function draw({ column, text, isBold, isDim, colour, isBlock }, row) {
  const x = round(PAD + column * CELL.width);
  const top = BAR + PAD / 2 + row * CELL.height;
  const length = round(text.length * CELL.width);
  const fill = colour === null ? "" : ` fill="${COLOURS[colour]}"`;
  if (isBlock) {
    const own = fill === "" ? ` fill="${COLOURS[4]}"` : fill;
    return `<rect x="${x}" y="${round(top + 3)}" width="${length}" height="${CELL.height - 6}" opacity="${BLOCKS[text[0]]}"${own}/>`;
  }
  const look = `${isBold ? ' font-weight="700"' : ""}${isDim ? ' opacity=".6"' : ""}${fill}`;
  return `<text x="${x}" y="${round(top + CELL.height * 0.74)}" textLength="${length}" lengthAdjust="spacingAndGlyphs"${look}>${escape(text)}</text>`;
}

const round = (value) => Math.round(10 * value) / 10;

function escape(text) {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
