// Cases x variants x runtimes -> lanes.
import type { BenchCase, CaseSettings, Variant } from "./cases/case.ts";
import type { JobSettings, Json, NotDone, Reply } from "./job.ts";
import type { Lane } from "./runner.ts";
import type { BenchRuntime } from "./runtimes/runtime.ts";

export interface LaneOptions {
  readonly cases: readonly BenchCase[];
  readonly runtimes: readonly BenchRuntime[];
  readonly caseSettings: CaseSettings;
  readonly settings: JobSettings;
  /** Each variant with each number; more than one are named. Default: that of `settings`. */
  readonly threads?: readonly number[];
  /** Default: all. */
  readonly nRounds?: number;
}

export function createLanes({
  cases,
  runtimes,
  caseSettings,
  settings,
  threads = [settings.threads],
  nRounds,
}: LaneOptions): readonly Lane[] {
  return cases.flatMap((chosen) =>
    chosen.variants(caseSettings).flatMap((variant) => {
      const own = { ...settings, ...variant.settings };
      // What one runtime expects holds for all where engines give the same bits everywhere.
      const isShared = own.engine !== "webgpu";
      const shared = new Expectation({ ...own, threads: Math.max(...threads) });
      return threads.flatMap((n) => {
        const withThreads = { ...own, threads: variant.settings?.threads ?? n };
        return runtimes.map((runtime) => {
          const expectation = isShared ? shared : new Expectation(withThreads);
          const named = threads.length === 1 ? variant : nameThreads(variant, n);
          return {
            ...createLane(chosen, named, runtime, withThreads, expectation),
            ...(nRounds === undefined ? {} : { nRounds }),
          };
        });
      });
    }),
  );
}

export function nameThreads(variant: Variant, n: number): Variant {
  return { ...variant, name: `${variant.name}, ${n} ${n === 1 ? "thread" : "threads"}` };
}

/** The right result of a variant, asked for until a runtime gives one, and once then. */
class Expectation {
  readonly settings: JobSettings;
  #reply: Reply | undefined;

  constructor(settings: JobSettings) {
    this.settings = settings;
  }

  async ask(run: () => Promise<Reply>): Promise<Reply> {
    if (this.#reply?.kind !== "done") this.#reply = await run();
    return this.#reply;
  }
}

function createLane(
  chosen: BenchCase,
  { name, params, metrics = chosen.metrics }: Variant,
  runtime: BenchRuntime,
  settings: JobSettings,
  expectation: Expectation,
): Lane {
  let expected: Json = null;
  const task = { case: chosen.name, params, settings };
  return {
    case: chosen.name,
    variant: name,
    runtime: runtime.name,
    params,
    metrics,
    threads: settings.threads,
    isDeterministic: chosen.isDeterministic ?? false,
    async prepare(): Promise<NotDone | null> {
      const reply = await expectation.ask(() =>
        runtime.run({ ...task, settings: expectation.settings, phase: "expect", expected: null }),
      );
      if (reply.kind !== "done") return reply;
      expected = reply.output;
      return null;
    },
    run: () => runtime.run({ ...task, phase: "measure", expected }),
  };
}
