// Which tokens each layer kept, as one HTML file that needs nothing else: per method and budget a grid,
// rows are layers, columns tokens, the colour is the share of kv heads that keep the token.
import { PAGE_SCRIPT, PAGE_STYLE } from "./compare-page-assets.ts";
import { answerText, type Comparison, type RunRow } from "./compare-report.ts";
import { formatBytes, formatCount, formatPercent } from "./format.ts";

/** More tokens than this share columns. */
const MAX_COLUMNS = 600;
/** Shares are written as one character: 0 is none, the last is all. */
const LEVELS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

/** What the page's script reads. */
export interface PageData {
  readonly nLayers: number;
  readonly nKvHeads: number;
  readonly nTokens: number;
  readonly levels: string;
  /** First tokens of columns in which a shot begins. */
  readonly shotStarts: readonly number[];
  readonly columns: readonly {
    /** First token, of `n`. */
    readonly begin: number;
    readonly n: number;
    readonly text: string;
    readonly kind: string;
  }[];
  readonly methods: readonly {
    readonly name: string;
    readonly runs: readonly {
      readonly keep: number | null;
      readonly caption: string;
      /** Per layer, one character per column. */
      readonly cells: readonly string[];
    }[];
  }[];
}

export function heatMapPage(comparison: Comparison): string {
  const { prompt, source, question } = comparison;
  const data = JSON.stringify(pageData(comparison)).replaceAll("<", "\\u003c");
  const name = source.split(/[\\/]/).at(-1) ?? source;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Kept tokens: ${escapeHtml(name)}</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<header>
<h1>Which tokens each layer kept</h1>
<dl>
<dt>Model</dt><dd>${escapeHtml(name)}</dd>
<dt>Prompt</dt><dd>${formatCount(prompt.tokens.length)} tokens</dd>
<dt>Question</dt><dd>${escapeHtml(question)}</dd>
<dt>Full cache says</dt><dd>${escapeHtml(answerText(comparison))}</dd>
</dl>
</header>
<div class="bar">
<div class="legend"><span>kept by no head</span><canvas id="ramp" width="256" height="1" aria-hidden="true"></canvas><span>by all</span></div>
<div class="legend" id="kinds"></div>
<div id="keeps" role="group" aria-label="Fraction kept"></div>
</div>
<main></main>
<div id="tip" hidden></div>
<script type="application/json" id="data">${data}</script>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`;
}

export function pageData(comparison: Comparison): PageData {
  const { model, prompt, rows } = comparison;
  const { nLayers, nKvHeads } = model.config;
  const nTokens = prompt.tokens.length;
  const perColumn = Math.ceil(nTokens / MAX_COLUMNS);
  const columns = Array.from({ length: Math.ceil(nTokens / perColumn) }, (_, i) => {
    const begin = i * perColumn;
    const n = Math.min(perColumn, nTokens - begin);
    const text = prompt.pieces.slice(begin, begin + n).join("");
    const kind = prompt.segments.find((one) => one.begin <= begin && begin < one.end)?.kind;
    return { begin, n, text, kind: kind ?? "template" };
  });
  const names = [...new Set(rows.map(({ method }) => method))];
  const methods = names.map((name) => ({
    name,
    runs: rows
      .filter(({ method }) => method === name)
      .map((row) => ({
        keep: row.keep,
        caption: captionOf(row),
        cells: cellsOf(row, columns, nKvHeads),
      })),
  }));
  const shotStarts = prompt.segments
    .filter(({ kind }) => kind === "shot")
    .map(({ begin }) => Math.ceil(begin / perColumn) * perColumn);
  return { nLayers, nKvHeads, nTokens, levels: LEVELS, shotStarts, columns, methods };
}

function captionOf(row: RunRow): string {
  if ("refused" in row) return row.refused;
  const { run } = row;
  const share = formatPercent(run.keptRows / run.fullRows);
  return `${share} of rows · ${formatBytes(run.bytes)} · KL ${run.kl.toPrecision(2)} · perplexity ${run.perplexity.toPrecision(3)}`;
}

function cellsOf(row: RunRow, columns: PageData["columns"], nKvHeads: number): string[] {
  if ("refused" in row) return [];
  const perColumn = columns[0]?.n ?? 1;
  return row.run.kept.map((heads) => {
    const counts = new Float64Array(columns.length);
    for (const positions of heads) {
      for (const position of positions) {
        const column = Math.floor(position / perColumn);
        counts[column] = (counts[column] ?? 0) + 1;
      }
    }
    return columns.map(({ n }, i) => levelOf((counts[i] ?? 0) / (n * nKvHeads))).join("");
  });
}

/** Only none is the first level and only all the last. */
function levelOf(share: number): string {
  const last = LEVELS.length - 1;
  const level = share <= 0 ? 0 : share >= 1 ? last : Math.round(share * last);
  return LEVELS[share > 0 && share < 1 ? Math.min(last - 1, Math.max(1, level)) : level] ?? "0";
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
