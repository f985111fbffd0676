// Records -> Markdown: what a run prints, and the README's tables, which nobody types.
import type { Metric } from "./cases/case.ts";
import type { MethodQuality } from "./cases/quality.ts";
import type { KernelSize } from "./kernel-sizes.ts";
import { type BenchRecord, mostBusy } from "./record.ts";
import type { LaneRecord } from "./runner.ts";
import { ratios, type RatioSummary } from "./statistics.ts";
import { formatMegabytes, formatNumber, formatPercent, renderTable } from "./table.ts";

/** Above this, timings shared their cores with other programs. */
const SHARED_CORES = 0.2;
const RATES = ["prefillTokensPerSecond", "decodeTokensPerSecond"] as const;

/** The README's parts, from the newest records that have them. */
export function readmeParts(newestFirst: readonly BenchRecord[]): Record<string, string> {
  const parts: Record<string, string> = {};
  for (const [name, what, render] of [
    ["speed", "peers", speedReport],
    ["saved", "saved", savedReport],
  ] as const) {
    const record = newestFirst.find((one) => one.what === what);
    if (record !== undefined) parts[name] = render(record);
  }
  return parts;
}

export function renderReport(record: BenchRecord): string {
  if (record.what.startsWith("peers")) return speedReport(record);
  if (record.what === "saved") return savedReport(record);
  return casesReport(record);
}

/** Runtimes side by side, then ours over each of the others. */
export function speedReport(record: BenchRecord): string {
  const lanes = record.lanes.filter(({ rounds }) => rounds.length > 0);
  const { nPrefill = 0, nTokens = 0, nDecode = 0 } = lanes[0]?.params ?? {};
  const isStored = record.settings.fromStore === true;
  const table = renderTable(
    [
      { title: "runtime" },
      { title: `prefill ${nPrefill}, best`, isNumber: true },
      { title: "median", isNumber: true },
      { title: `decode ${nDecode} after ${nTokens}, best`, isNumber: true },
      { title: "median", isNumber: true },
      { title: `load${isStored ? " from the store" : ""}, ms`, isNumber: true },
    ],
    lanes.map((lane) => [
      lane.runtime,
      ...RATES.flatMap((name) => [
        formatNumber(lane.summary[name]?.best ?? NaN),
        formatNumber(lane.summary[name]?.median ?? NaN),
      ]),
      formatNumber(lane.summary["loadMs"]?.median ?? NaN),
    ]),
  );
  return [`${note(record)} Tokens a second.`, table, ratioTable(lanes), stoppedList(record)]
    .filter((part) => part !== "")
    .join("\n\n");
}

const isOurs = ({ facts }: LaneRecord): boolean => facts !== null;

function ratioTable(lanes: readonly LaneRecord[]): string {
  const pairs = lanes
    .filter(isOurs)
    .flatMap((ours) => lanes.filter((lane) => !isOurs(lane)).map((theirs) => ({ ours, theirs })));
  if (pairs.length === 0) return "";
  const cells = ({ min, median, max }: RatioSummary): string[] => [min, median, max].map(times);
  return renderTable(
    [
      { title: "ours over theirs, in the same rounds" },
      { title: "prefill, least", isNumber: true },
      { title: "median", isNumber: true },
      { title: "most", isNumber: true },
      { title: "decode, least", isNumber: true },
      { title: "median", isNumber: true },
      { title: "most", isNumber: true },
    ],
    pairs.map(({ ours, theirs }) => [
      `${ours.runtime} over ${theirs.runtime}`,
      ...RATES.flatMap((name) => cells(ratios(byRound(ours, name), byRound(theirs, name)))),
    ]),
  );
}

const times = (ratio: number): string => (Number.isFinite(ratio) ? ratio.toFixed(2) : "-");

function byRound({ rounds }: LaneRecord, metric: string): Map<number, number> {
  return new Map(
    rounds.flatMap(({ round, metrics }) => {
      const value = metrics[metric];
      return value === undefined ? [] : [[round, value] as const];
    }),
  );
}

/** Per method: bytes, decode speed, and how far its next tokens are from the full cache's. */
export function savedReport(record: BenchRecord): string {
  const quality = new Map(
    record.lanes
      .filter((lane) => lane.case === "quality" && Array.isArray(lane.output))
      .flatMap(({ output }) => output as unknown as MethodQuality[])
      .map((row) => [row.method, row]),
  );
  const lanes = record.lanes.filter(
    (lane) => lane.case === "compressed-decode" && lane.rounds.length > 0,
  );
  const context = Math.max(0, ...lanes.map(({ params }) => params.nTokens));
  const table = renderTable(
    [
      { title: "method" },
      { title: "budget, rows", isNumber: true },
      { title: "context, tokens", isNumber: true },
      { title: "full cache, MB", isNumber: true },
      { title: "cache, MB", isNumber: true },
      { title: "saved", isNumber: true },
      { title: "decode, tokens/s", isNumber: true },
      { title: "same next token", isNumber: true },
      { title: "KL, nats", isNumber: true },
      ...(lanes.some(({ runtime }) => runtime !== lanes[0]?.runtime) ? [{ title: "runtime" }] : []),
    ],
    lanes.map((lane) => savedRow(lane, context, quality)),
  );
  return [note(record), table, qualityNote(record), stoppedList(record)]
    .filter((part) => part !== "")
    .join("\n\n");
}

function savedRow(
  { params, summary, runtime }: LaneRecord,
  context: number,
  quality: ReadonlyMap<string, MethodQuality>,
): string[] {
  const { method = "full", budgetTokens, nTokens } = params;
  const middle = (metric: string): number => summary[metric]?.median ?? NaN;
  const [cacheBytes, fullBytes] = [middle("cacheBytes"), middle("fullBytes")];
  // The short full cache holds another context, so it has no place in the comparison of answers.
  const own = nTokens === context ? quality.get(method) : undefined;
  return [
    method,
    budgetTokens === undefined ? "-" : String(budgetTokens),
    nTokens.toLocaleString("en-US"),
    formatMegabytes(fullBytes),
    formatMegabytes(cacheBytes),
    method === "full" ? "-" : formatPercent(1 - cacheBytes / fullBytes),
    formatNumber(middle("decodeTokensPerSecond")),
    own === undefined ? "-" : formatPercent(own.agreement),
    own === undefined ? "-" : own.kl.toFixed(3) + (own.actsInDecode ? " \\*" : ""),
    runtime,
  ];
}

function qualityNote(record: BenchRecord): string {
  const lane = record.lanes.find((one) => one.case === "quality" && one.rounds.length > 0);
  if (lane === undefined) return "";
  const { nDecode } = lane.params;
  const rows = Array.isArray(lane.output) ? (lane.output as unknown as MethodQuality[]) : [];
  const starred = rows.some((row) => row.actsInDecode)
    ? " \\*: after the prompt's compression alone; the method also drops rows while decoding."
    : "";
  return (
    `Same next token and KL: over the ${nDecode + 1} tokens that follow in the text ` +
    `(${record.settings.text}), the compressed cache against the full one.${starred}`
  );
}

/** Every lane with all its metrics. */
export function casesReport(record: BenchRecord): string {
  const names = [...new Set(record.lanes.map((lane) => lane.case))];
  const sections = names.map((name) => {
    const lanes = record.lanes.filter((lane) => lane.case === name && lane.rounds.length > 0);
    const metrics = Object.entries(lanes[0]?.metrics ?? {});
    const columns = metrics.map(([, metric]) => ({ title: titleOf(metric), isNumber: true }));
    const rows = lanes.map(({ variant, runtime, summary }) => [
      variant,
      runtime,
      ...metrics.map(([metric, { unit }]) => {
        const { best = NaN, median = NaN } = summary[metric] ?? {};
        if (!Number.isFinite(best)) return "-";
        return best === median
          ? format(best, unit)
          : `${format(best, unit)} / ${format(median, unit)}`;
      }),
    ]);
    const table = renderTable([{ title: "variant" }, { title: "runtime" }, ...columns], rows);
    const more = [decodeRatios(lanes), memoryRatios(lanes), sameHashes(lanes)];
    const parts = [`### ${name}`, table, ...more].filter((part) => part !== "");
    return rows.length === 0 ? "" : parts.join("\n\n");
  });
  const sizes = kernelTable(record.kernels ?? []);
  return [`${note(record)} Best / median.`, ...sections, sizes, stoppedList(record)]
    .filter((part) => part !== "")
    .join("\n\n");
}

/** Each lane's decode over that of every full cache beside it, a peer's of the same length included. */
function decodeRatios(lanes: readonly LaneRecord[]): string {
  const isFull = ({ params }: LaneRecord): boolean => (params.method ?? "full") === "full";
  const pairs = lanes.filter(isOurs).flatMap((ours) =>
    lanes
      .filter((other) => isFull(other) && other !== ours)
      .filter((other) => (isOurs(other) ? other.runtime === ours.runtime && !isFull(ours) : true))
      .map((theirs) => ({ ours, theirs })),
  );
  const metric = "decodeTokensPerSecond";
  if (pairs.length === 0 || lanes[0]?.metrics[metric] === undefined) return "";
  const nameOf = ({ variant, runtime }: LaneRecord): string => `${variant} (${runtime})`;
  return renderTable(
    [
      { title: "decode, in the same rounds" },
      { title: "over" },
      { title: "least", isNumber: true },
      { title: "median", isNumber: true },
      { title: "most", isNumber: true },
    ],
    pairs.map(({ ours, theirs }) => {
      const { min, median, max } = ratios(byRound(ours, metric), byRound(theirs, metric));
      return [nameOf(ours), nameOf(theirs), ...[min, median, max].map(times)];
    }),
  );
}

/** WASM memory of ours over that of another runtime after as many tokens. */
function memoryRatios(lanes: readonly LaneRecord[]): string {
  const size = ({ summary }: LaneRecord): number => summary["reservedBytes"]?.best ?? NaN;
  const peers = lanes.filter((lane) => !isOurs(lane) && Number.isFinite(size(lane)));
  const rows = peers.flatMap((theirs) =>
    lanes
      .filter((ours) => isOurs(ours) && ours.params.nTokens === theirs.params.nTokens)
      .map((ours) => [
        ours.variant,
        ours.runtime,
        `${theirs.runtime}, ${formatMegabytes(size(theirs))} MB`,
        times(size(ours) / size(theirs)),
      ]),
  );
  if (rows.length === 0) return "";
  const titles = ["memory", "of", "over", "ratio"].map((title) => ({ title }));
  return renderTable(titles, rows);
}

function kernelTable(kernels: readonly KernelSize[]): string {
  if (kernels.length === 0) return "";
  const rows = kernels.map(({ build, bytes, gzipBytes }) => [
    build,
    bytes.toLocaleString("en-US"),
    gzipBytes.toLocaleString("en-US"),
  ]);
  const numbers = ["bytes", "gzip"].map((title) => ({ title, isNumber: true }));
  return renderTable([{ title: "kernels" }, ...numbers], rows);
}

/** Of lanes that make one thing in several ways: whether all made the same. */
function sameHashes(lanes: readonly LaneRecord[]): string {
  const made = lanes.flatMap((lane) => {
    const { output } = lane;
    const isObject = typeof output === "object" && output !== null && "hash" in output;
    const hash = isObject ? output["hash"] : null;
    return typeof hash === "string" ? [{ lane, hash }] : [];
  });
  if (made.length === 0) return "";
  const isSame = new Set(made.map(({ hash }) => hash)).size === 1;
  const table = renderTable(
    [{ title: "variant" }, { title: "runtime" }, { title: "SHA-256" }],
    made.map(({ lane, hash }) => [lane.variant, lane.facts?.runtime ?? lane.runtime, hash]),
  );
  return `${table}\n\n${isSame ? `All ${made.length} are the same.` : "They are not the same."}`;
}

function titleOf({ title, unit }: Metric): string {
  if (unit === "share" || unit === "number") return title;
  return `${title}, ${unit === "bytes" ? "MB" : unit}`;
}

function format(value: number, unit: Metric["unit"]): string {
  if (unit === "bytes") return formatMegabytes(value);
  return unit === "share" ? formatPercent(value) : formatNumber(value);
}

/** What the numbers stand on, in one sentence or two. */
export function note(record: BenchRecord): string {
  const { date, commit, machine, model, settings, lanes } = record;
  const nRounds = Math.max(0, ...lanes.map(({ rounds }) => rounds.length));
  const counts = [settings.threads].flat();
  const threads = counts.join() === "1" ? "1 thread" : `${counts.join(" and ")} threads`;
  const runtimes = new Set(lanes.flatMap(({ facts }) => (facts === null ? [] : [facts.runtime])));
  const engines = new Set(lanes.flatMap(({ facts }) => (facts === null ? [] : [facts.engine])));
  const busy = mostBusy(record);
  const shared =
    busy > SHARED_CORES ? ` Other programs held up to ${busy.toFixed(1)} cores meanwhile.` : "";
  return (
    `${date.slice(0, 10)}, commit ${commit.id.slice(0, 7)}${commit.isDirty ? " with changes" : ""}, ` +
    `${machine.cpu} (${machine.nCores} cores), ${model.file}, ${[...engines].join(" and ")} engine, ` +
    `${threads}, ${[...runtimes].join(", ")}, ${nRounds} ${nRounds === 1 ? "round" : "rounds"}.${shared}`
  );
}

export function stoppedList({ lanes }: BenchRecord): string {
  return lanes
    .flatMap(({ case: name, variant, runtime, stopped }) =>
      stopped === null
        ? []
        : [`- ${stopped.kind}: ${name}, ${variant}, ${runtime}: ${stopped.reason}`],
    )
    .join("\n");
}
