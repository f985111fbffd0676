// Rounds over lanes: every lane once per round, every second round in reversed order, so that a drift
// of the machine's speed falls on all of them alike.
import type { Metric } from "./cases/case.ts";
import type { Done, Facts, Json, NotDone, Params, Reply } from "./job.ts";
import { summarize, type Summary } from "./statistics.ts";

/** One variant of one case on one runtime, or another program. */
export interface Lane {
  readonly case: string;
  readonly variant: string;
  readonly runtime: string;
  readonly params: Params;
  readonly metrics: Readonly<Record<string, Metric>>;
  readonly isDeterministic: boolean;
  readonly threads?: number;
  /** Fewer rounds than the others take, the first ones. */
  readonly nRounds?: number;
  /** What must be known before the rounds; null when all is well. */
  prepare(): Promise<NotDone | null>;
  run(): Promise<Reply>;
}

export interface RoundRecord {
  readonly round: number;
  readonly metrics: Readonly<Record<string, number>>;
  /** Cores that other programs used just before. */
  readonly othersBusyCores: number;
}

export interface LaneRecord {
  readonly case: string;
  readonly variant: string;
  readonly runtime: string;
  readonly params: Params;
  readonly metrics: Readonly<Record<string, Metric>>;
  /** Absent in records from before it was noted. */
  readonly threads?: number;
  readonly facts: Facts | null;
  readonly output: Json;
  readonly rounds: readonly RoundRecord[];
  readonly summary: Readonly<Record<string, Summary>>;
  /** Why there are no rounds, or fewer. */
  readonly stopped: NotDone | null;
}

export interface RunnerOptions {
  readonly rounds: number;
  /** Waits for a quiet machine; cores that other programs use. */
  readonly settle: () => Promise<number>;
  readonly say: (line: string) => void;
}

interface Running {
  readonly lane: Lane;
  readonly rounds: RoundRecord[];
  last: Done | null;
  stopped: NotDone | null;
}

export async function runLanes(
  lanes: readonly Lane[],
  options: RunnerOptions,
): Promise<LaneRecord[]> {
  const running = lanes.map((lane): Running => ({ lane, rounds: [], last: null, stopped: null }));
  for (const one of running) {
    options.say(`check    ${nameOf(one.lane)}`);
    one.stopped = await one.lane.prepare();
    sayStopped(one, options);
  }
  for (let round = 0; round < options.rounds; round++) {
    const order = round % 2 === 0 ? running : [...running].reverse();
    for (const one of order) {
      const { isDeterministic, nRounds = isDeterministic ? 1 : Infinity } = one.lane;
      if (one.stopped === null && round < nRounds) {
        await runOnce(one, round, options);
      }
    }
  }
  return running.map(recordOf);
}

/** The same for lanes that are not timed. */
export async function runAtOnce(
  lanes: readonly Lane[],
  options: RunnerOptions,
): Promise<LaneRecord[]> {
  const runs = lanes.map((lane) => runLanes([lane], options));
  return (await Promise.all(runs)).flat();
}

async function runOnce(one: Running, round: number, options: RunnerOptions): Promise<void> {
  const othersBusyCores = await options.settle();
  const reply = await one.lane.run();
  if (reply.kind !== "done") {
    one.stopped = reply;
    // A lane that was wrong once is not trusted for its earlier rounds either.
    if (reply.kind === "wrong") one.rounds.length = 0;
    sayStopped(one, options);
    return;
  }
  one.last = reply;
  one.rounds.push({ round, metrics: reply.metrics, othersBusyCores });
  const shown = Object.entries(reply.metrics).map(([name, value]) => `${name} ${shorten(value)}`);
  options.say(`round ${round}  ${nameOf(one.lane)}: ${shown.join(", ")}`);
}

function sayStopped({ lane, stopped }: Running, { say }: RunnerOptions): void {
  if (stopped !== null) say(`${stopped.kind}  ${nameOf(lane)}: ${stopped.reason}`);
}

export function nameOf(lane: Pick<Lane, "case" | "variant" | "runtime">): string {
  return `${lane.case} | ${lane.variant} | ${lane.runtime}`;
}

function shorten(value: number): string {
  return String(Number(value.toPrecision(4)));
}

function recordOf({ lane, rounds, last, stopped }: Running): LaneRecord {
  const { case: name, variant, runtime, params, metrics, threads } = lane;
  const summary = Object.fromEntries(
    Object.entries(metrics).flatMap(([metric, { better }]) => {
      const values = rounds.flatMap((round) => round.metrics[metric] ?? []);
      return values.length === 0 ? [] : [[metric, summarize(values, better)]];
    }),
  );
  return {
    case: name,
    variant,
    runtime,
    params,
    metrics,
    ...(threads === undefined ? {} : { threads }),
    facts: last?.facts ?? null,
    output: last?.output ?? null,
    rounds,
    summary,
    stopped,
  };
}
