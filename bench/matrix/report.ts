// A record of `matrix` -> its rates, and what each is over other runtimes beside what is wanted.
import { COMPRESSED_METRIC, decodeMetric } from "../cases/contexts.ts";
import type { BenchRecord } from "../record.ts";
import { note, stoppedList } from "../report.ts";
import type { LaneRecord } from "../runner.ts";
import { formatNumber, renderTable } from "../table.ts";
import {
  COMPRESSED_OVER_NATIVE,
  COMPRESSED_OVER_SMALL,
  LONGEST_OVER_NATIVE,
  OVER_WLLAMA,
  overNative,
} from "./wanted.ts";

export const MATRIX = "matrix";
const [PREFILL, DECODE] = ["prefillTokensPerSecond", "decodeTokensPerSecond"] as const;

/** The newest record of each model's file. */
export function matrixParts(newestFirst: readonly BenchRecord[]): Record<string, string> {
  const newest = new Map<string, BenchRecord>();
  for (const record of newestFirst) {
    const { file } = record.model;
    if (record.what === MATRIX && !newest.has(file)) newest.set(file, record);
  }
  const files = [...newest.keys()].sort();
  if (files.length === 0) return {};
  const parts = files.map((file) => {
    const record = newest.get(file);
    return record === undefined ? "" : `### ${file}\n\n${matrixReport(record)}`;
  });
  return { [MATRIX]: parts.join("\n\n") };
}

export function matrixReport(record: BenchRecord): string {
  const lanes = record.lanes.filter(({ rounds }) => rounds.length > 0);
  const counts = [...new Set(lanes.map(threadsOf))].sort((a, b) => a - b);
  const groups = counts.map((n) => lanes.filter((lane) => threadsOf(lane) === n));
  return [
    `${note(record)} Tokens a second, best / median.`,
    ratesTable(groups),
    ratiosTable(groups, record),
    stoppedList(record),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

const threadsOf = ({ threads, facts }: LaneRecord): number => threads ?? facts?.threads ?? 1;
const isOurs = ({ facts }: LaneRecord): boolean => facts !== null;
const isNative = ({ runtime }: LaneRecord): boolean => runtime.includes("native");
const isWllama = ({ runtime }: LaneRecord): boolean => runtime.includes("wllama");

/** The two lanes of one runtime with one number of threads. */
interface Runtime {
  readonly name: string;
  readonly threads: number;
  readonly speed: LaneRecord | undefined;
  readonly long: LaneRecord | undefined;
}

function runtimesOf(group: readonly LaneRecord[]): Runtime[] {
  return [...new Set(group.map(({ runtime }) => runtime))].map((name) => {
    const own = group.filter(({ runtime }) => runtime === name);
    const named = (what: string): LaneRecord | undefined => own.find((lane) => lane.case === what);
    const threads = own[0] === undefined ? 1 : threadsOf(own[0]);
    return { name, threads, speed: named("speed"), long: named("contexts") };
  });
}

function ratesTable(groups: readonly (readonly LaneRecord[])[]): string {
  const all = groups.flat();
  const lengths = all.find((lane) => lane.case === "contexts")?.params.contexts ?? [];
  const longMetrics = all.find((lane) => lane.case === "contexts" && isOurs(lane))?.metrics ?? {};
  const { nPrefill = 0, nTokens = 0 } = all.find((lane) => lane.case === "speed")?.params ?? {};
  const columns = [
    { title: `prefill ${nPrefill}`, case: "speed", metric: PREFILL },
    { title: `decode at ${nTokens}`, case: "speed", metric: DECODE },
    { title: "load, ms", case: "speed", metric: "loadMs" },
    ...[PREFILL, ...lengths.map(decodeMetric), COMPRESSED_METRIC].flatMap((metric) => {
      const title = longMetrics[metric]?.title;
      const isTwice = metric === decodeMetric(nTokens);
      return title === undefined || isTwice ? [] : [{ title, case: "contexts", metric }];
    }),
  ];
  const rows = groups.flatMap((group) =>
    runtimesOf(group).map((runtime) => [
      String(runtime.threads),
      runtime.name,
      ...columns.map((column) => {
        const lane = column.case === "speed" ? runtime.speed : runtime.long;
        const summary = lane?.summary[column.metric];
        if (summary === undefined) return "-";
        const [best, median] = [formatNumber(summary.best), formatNumber(summary.median)];
        return best === median ? best : `${best} / ${median}`;
      }),
    ]),
  );
  const numbers = columns.map(({ title }) => ({ title, isNumber: true }));
  return renderTable([{ title: "threads" }, { title: "runtime" }, ...numbers], rows);
}

/** A rate: of a lane, by a metric. */
interface Rate {
  readonly lane: LaneRecord | undefined;
  readonly metric: string;
}

interface Ratio {
  readonly what: string;
  readonly ours: Rate;
  readonly theirs: Rate;
  readonly wanted: number | null;
}

function ratiosTable(groups: readonly (readonly LaneRecord[])[], record: BenchRecord): string {
  const rows = groups.flatMap((group) => {
    const runtimes = runtimesOf(group);
    const ours = runtimes.filter(({ speed, long }) =>
      [speed, long].some((one) => one && isOurs(one)),
    );
    const others = runtimes.filter((one) => !ours.includes(one));
    return ours.flatMap((own) =>
      ratiosOf(own, others, record).flatMap((ratio) => {
        const [best, median] = [over(ratio, "best"), over(ratio, "median")];
        if (best === null || median === null) return [];
        const { what, wanted } = ratio;
        const verdict = wanted === null ? "" : median >= wanted ? "yes" : "no";
        const least = wanted === null ? "" : wanted.toFixed(1);
        return [[String(own.threads), what, best.toFixed(2), median.toFixed(2), least, verdict]];
      }),
    );
  });
  if (rows.length === 0) return "";
  return renderTable(
    [
      { title: "threads" },
      { title: "rate over rate" },
      { title: "of the bests", isNumber: true },
      { title: "of the medians", isNumber: true },
      { title: "wanted", isNumber: true },
      { title: "medians reach it" },
    ],
    rows,
  );
}

function over({ ours, theirs }: Ratio, what: "best" | "median"): number | null {
  const a = ours.lane?.summary[ours.metric]?.[what];
  const b = theirs.lane?.summary[theirs.metric]?.[what];
  return a === undefined || b === undefined || b === 0 ? null : a / b;
}

function ratiosOf(own: Runtime, others: readonly Runtime[], { model }: BenchRecord): Ratio[] {
  const { speed, long } = own;
  const { nPrefill = 0, nTokens = 0 } = speed?.params ?? {};
  const longest = long?.params.nTokens ?? 0;
  const small = long?.params.budgetTokens ?? 0;
  // Others have nothing wanted of them.
  const isHeld = /node|chromium/.test(own.name);
  const held = (wanted: number | undefined): number | null => (isHeld ? (wanted ?? null) : null);
  const compressed: Rate = { lane: long, metric: COMPRESSED_METRIC };
  const besides = others.flatMap((other): Ratio[] => {
    const isPeer = (lane: LaneRecord | undefined): boolean => lane !== undefined && isWllama(lane);
    const isBrowser = own.name.includes("chromium");
    const wanted = isPeer(other.speed) ? (isBrowser ? OVER_WLLAMA : null) : overNative(model);
    const names = `${own.name} over ${other.name}`;
    const both = (what: string, key: "speed" | "long", metric: string, least?: number): Ratio => ({
      what: `${what}, ${names}`,
      ours: { lane: own[key], metric },
      theirs: { lane: other[key], metric },
      wanted: held(least),
    });
    const native = other.long !== undefined && isNative(other.long);
    return [
      both(`prefill ${nPrefill}`, "speed", PREFILL, wanted?.prefill),
      both(`decode at ${nTokens}`, "speed", DECODE, wanted?.decode),
      ...(native ? longRatios(own, other, both, held) : []),
    ];
  });
  const itself: Ratio = {
    what: `decode at ${longest} of ${small} rows over decode at ${small}, ${own.name}`,
    ours: compressed,
    theirs: { lane: long, metric: decodeMetric(small) },
    wanted: held(COMPRESSED_OVER_SMALL),
  };
  return [...besides, itself];
}

function longRatios(
  { name, long }: Runtime,
  other: Runtime,
  both: (what: string, key: "speed" | "long", metric: string, least?: number) => Ratio,
  held: (wanted: number | undefined) => number | null,
): Ratio[] {
  const { contexts = [], nPrefill = 0, nTokens = 0, budgetTokens = 0 } = long?.params ?? {};
  return [
    both(`prefill ${nPrefill}`, "long", PREFILL),
    ...contexts.map((n) =>
      both(
        `decode at ${n}`,
        "long",
        decodeMetric(n),
        n === nTokens ? LONGEST_OVER_NATIVE : undefined,
      ),
    ),
    {
      what: `decode at ${nTokens} of ${budgetTokens} rows, ${name} over ${other.name} of all rows`,
      ours: { lane: long, metric: COMPRESSED_METRIC },
      theirs: { lane: other.long, metric: decodeMetric(nTokens) },
      wanted: held(COMPRESSED_OVER_NATIVE),
    },
  ];
}
