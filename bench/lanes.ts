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
}

export function createLanes({
  cases,
  runtimes,
  caseSettings,
  settings,
}: LaneOptions): readonly Lane[] {
  return cases.flatMap((chosen) =>
    chosen.variants(caseSettings).flatMap((variant) => {
      const own = { ...settings, ...variant.settings };
      // What one runtime expects holds for all where engines give the same bits everywhere.
      const isShared = own.engine !== "webgpu";
      const shared = new Expectation();
      return runtimes.map((runtime) =>
        createLane(chosen, variant, runtime, own, isShared ? shared : new Expectation()),
      );
    }),
  );
}

/** The right result of a variant, asked for once. */
class Expectation {
  #reply: Promise<Reply> | undefined;

  ask(run: () => Promise<Reply>): Promise<Reply> {
    return (this.#reply ??= run());
  }
}

function createLane(
  chosen: BenchCase,
  { name, params }: Variant,
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
    metrics: chosen.metrics,
    isDeterministic: chosen.isDeterministic ?? false,
    async prepare(): Promise<NotDone | null> {
      const reply = await expectation.ask(() =>
        runtime.run({ ...task, phase: "expect", expected: null }),
      );
      if (reply.kind !== "done") return reply;
      expected = reply.output;
      return null;
    },
    run: () => runtime.run({ ...task, phase: "measure", expected }),
  };
}
