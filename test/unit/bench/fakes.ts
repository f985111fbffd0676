// Records, lanes and runtimes without processes.
import type { Metric } from "../../../bench/cases/case.ts";
import type { Facts, Json, Params, Reply } from "../../../bench/job.ts";
import { type BenchRecord, createRecord } from "../../../bench/record.ts";
import type { Lane, LaneRecord } from "../../../bench/runner.ts";
import type { BenchRuntime, Task } from "../../../bench/runtimes/runtime.ts";
import { summarize } from "../../../bench/statistics.ts";

export const rate: Metric = { title: "decode", unit: "tokens/s", better: "higher" };

export const facts: Facts = {
  runtime: "node 20.0.0",
  engine: "wasm",
  activations: "q8",
  threads: 1,
  loadMs: 100,
  weightBytes: 1000,
  peakEngineBytes: 2000,
  reservedBytes: 4000,
};

export function done(metrics: Record<string, number>, output: Json = null): Reply {
  return { kind: "done", metrics, output, facts };
}

/** A worker that answers from a function and remembers what it was asked. */
export class FakeRuntime implements BenchRuntime {
  readonly name: string;
  readonly tasks: Task[] = [];
  readonly #reply: (task: Task) => Reply;

  constructor(name: string, reply: (task: Task) => Reply) {
    this.name = name;
    this.#reply = reply;
  }

  async run(task: Task): Promise<Reply> {
    this.tasks.push(task);
    return this.#reply(task);
  }

  async close(): Promise<void> {
    return undefined;
  }
}

export function fakeLane(name: string, run: () => Reply, overrides: Partial<Lane> = {}): Lane {
  return {
    case: "fake",
    variant: name,
    runtime: "here",
    params: { nTokens: 1, nDecode: 1 },
    metrics: { decodeTokensPerSecond: rate },
    isDeterministic: false,
    prepare: async () => null,
    run: async () => run(),
    ...overrides,
  };
}

export function laneRecord(
  fields: Partial<LaneRecord> & { readonly params: Params },
  rounds: readonly Record<string, number>[],
): LaneRecord {
  const names = Object.keys(rounds[0] ?? {});
  const valuesOf = (name: string): number[] => rounds.flatMap((round) => round[name] ?? []);
  return {
    case: "speed",
    variant: "variant",
    runtime: "kvasir, node",
    metrics: Object.fromEntries(names.map((name) => [name, rate])),
    facts,
    output: null,
    rounds: rounds.map((metrics, round) => ({ round, metrics, othersBusyCores: 0 })),
    summary: Object.fromEntries(names.map((name) => [name, summarize(valuesOf(name), "higher")])),
    stopped: null,
    ...fields,
  };
}

export function fakeRecord(fields: Partial<BenchRecord>): BenchRecord {
  return createRecord({
    what: "peers",
    date: "2026-01-02T03:04:05.000Z",
    commit: { id: "0123456789abcdef", isDirty: false },
    machine: { slug: "m", cpu: "A CPU", nCores: 2, memoryBytes: 1, system: "linux" },
    model: { file: "toy.Q4_0.gguf", byteLength: 1, sha256: "00", quant: "Q4_0" },
    settings: { engine: "auto", activations: "q8", threads: 1, text: "words", rounds: 2 },
    loadAverage: { before: [0, 0, 0], after: [0, 0, 0] },
    lanes: [],
    ...fields,
  });
}
