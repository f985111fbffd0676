import type { Activations } from "../src/engine/engine.ts";
import {
  type Area,
  AREAS,
  type CheckResult,
  type CheckStatus,
  type ParityEngine,
  type ParityHost,
  runParity,
} from "../src/parity/runner.ts";
import type { Runtime } from "../src/runtime/runtime.ts";
import type { Command, CommandIo } from "./command.ts";
import { openGoldenFolder, openModelFinder } from "./golden-folder.ts";
import { MODEL_OPTIONS } from "./model-options.ts";
import { parseOptions, suggest, usageText, UsageError, type OptionSpecs } from "./options.ts";

const OPTIONS = {
  golden: { type: "text", short: "g", value: "DIR", help: "Folder of golden data (required)" },
  models: {
    type: "text",
    value: "DIR",
    multiple: true,
    help: "Where models lie, at any depth (default: the golden folder); may be repeated",
  },
  model: {
    type: "text",
    value: "FOLDER=FILE",
    multiple: true,
    help: "The model of a folder whose tokenizer.json does not tell; may be repeated",
  },
  engine: {
    type: "choice",
    choices: ["auto", "webgpu", "wasm", "reference"],
    help: "What computes (default: auto)",
  },
  activations: {
    type: "choice",
    choices: ["both", "f32", "q8"],
    help: "Modes to check (default: both; f32 on webgpu and reference)",
  },
  codec: {
    type: "choice",
    choices: ["f32", "f16"],
    help: "How cache rows are stored (default: f32 in mode f32, else f16)",
  },
  threads: MODEL_OPTIONS.threads,
  only: { type: "text", value: "AREA,...", help: `Of ${AREAS.join(", ")}` },
  "allow-missing": { type: "flag", help: "Do not fail for models that are not there" },
  json: { type: "flag", help: "Print one JSON object in place of the table" },
} as const satisfies OptionSpecs;

/** `kvasir parity`: every check that a folder of golden data has files for. */
export function parityCommand(openHost: (runtime: Runtime) => Promise<ParityHost>): Command {
  return {
    name: "parity",
    summary: "Check against a folder of golden data",
    usage: usageText(
      "kvasir parity --golden DIR [--models DIR] [options]",
      "Leaves with 1 when a check fails, a model is not there or nothing was checked.",
      OPTIONS,
      [
        "kvasir parity --golden golden --models models",
        "kvasir parity --golden golden --models models --only dequant,toys --activations f32",
      ],
    ),
    run: async (args, io) => {
      const values = parseOptions(OPTIONS, args);
      if (values.golden === undefined) throw new UsageError("--golden is required");
      const only = areasOf(values.only);
      const models = modelMap(values.model);
      const golden = await openGoldenFolder(values.golden);
      const directories = values.models.length === 0 ? [values.golden] : values.models;
      const findModel = await openModelFinder(directories);
      const report = values.json ? new JsonReport(io) : new TableReport(io);
      const results = runParity(golden, await openHost(io.runtime), {
        engine: values.engine ?? "auto",
        ...(values.threads !== undefined && { threads: values.threads }),
        activations: modesOf(values.engine, values.activations),
        ...(values.codec !== undefined && { codec: values.codec }),
        only,
        findModel,
        models,
        signal: io.signal,
        onJob: (job) => report.start(`${job.area} ${job.check}`),
      });
      const tally = new Tally();
      for await (const result of results) {
        tally.add(result);
        report.add(result);
      }
      const isOk = tally.isOk(values["allow-missing"]);
      report.finish(tally, isOk);
      return isOk ? 0 : 1;
    },
  };
}

function modesOf(
  engine: ParityEngine | undefined,
  asked: Activations | "both" | undefined,
): readonly Activations[] {
  // Plain ones compute in f32, and q8 is not on every GPU: asked for, it is checked.
  const isF32 = engine === "webgpu" || engine === "reference";
  const activations = asked ?? (isF32 ? "f32" : "both");
  return activations === "both" ? ["f32", "q8"] : [activations];
}

function areasOf(text: string | undefined): readonly Area[] {
  if (text === undefined) return AREAS;
  return text.split(",").map((name) => {
    const area = AREAS.find((known) => known === name.trim());
    if (area !== undefined) return area;
    const nearest = suggest(name, AREAS);
    const hint = nearest === undefined ? `one of ${AREAS.join(", ")}` : `did you mean ${nearest}?`;
    throw new UsageError(`Unknown area "${name}" in --only; ${hint}`);
  });
}

function modelMap(pairs: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    pairs.map((pair) => {
      const equals = pair.indexOf("=");
      if (equals < 1 || equals === pair.length - 1) {
        throw new UsageError(`--model must read FOLDER=FILE, got "${pair}"`);
      }
      return [pair.slice(0, equals).replace(/\/+$/, ""), pair.slice(equals + 1)];
    }),
  );
}

class Tally {
  readonly counts: Record<CheckStatus, number> = {
    pass: 0,
    fail: 0,
    info: 0,
    "no model": 0,
    missing: 0,
    "not read": 0,
    "not run": 0,
  };

  add(result: CheckResult): void {
    this.counts[result.status]++;
  }

  get isEmpty(): boolean {
    return this.counts.pass + this.counts.fail === 0;
  }

  isOk(allowsMissing: boolean): boolean {
    if (this.isEmpty || this.counts.fail > 0) return false;
    return allowsMissing || this.counts["no model"] === 0;
  }

  toString(): string {
    const shown = Object.entries(this.counts).filter(([, count]) => count > 0);
    const text = shown.map(([status, count]) => `${count} ${status}`).join(", ");
    return this.isEmpty ? `nothing was checked${text === "" ? "" : ` (${text})`}` : text;
  }
}

interface Report {
  start(job: string): void;
  add(result: CheckResult): void;
  finish(tally: Tally, isOk: boolean): void;
}

class JsonReport implements Report {
  readonly #io: CommandIo;
  readonly #results: CheckResult[] = [];

  constructor(io: CommandIo) {
    this.#io = io;
  }

  start(): void {}

  add(result: CheckResult): void {
    this.#results.push(result);
  }

  finish(tally: Tally, isOk: boolean): void {
    // JSON has no Infinity, and null would read as "not measured".
    const results = this.#results.map((result) =>
      typeof result.measured === "number" && !Number.isFinite(result.measured)
        ? { ...result, measured: String(result.measured) }
        : result,
    );
    this.#io.out(`${JSON.stringify({ ok: isOk, counts: tally.counts, results }, null, 2)}\n`);
  }
}

/** Column widths: rows are printed as they come, so they cannot be measured first. */
const WIDTHS = { area: 9, check: 40, metric: 31, measured: 15, tolerance: 9 };

class TableReport implements Report {
  readonly #io: CommandIo;

  constructor(io: CommandIo) {
    this.#io = io;
    this.#row("area", "check", "metric", "measured", "tolerance", "result");
  }

  start(job: string): void {
    if (!this.#io.isTty) return;
    this.#io.err(`\rchecking ${job}`.slice(0, this.#io.columns - 1) + "\x1b[K");
  }

  add(result: CheckResult): void {
    this.#clear();
    const { area, check, metric, measured, tolerance, status, note } = result;
    // A failure's note can be long and must be found; others say why there is no number.
    const isApart = status === "fail" && note !== undefined;
    const end = note === undefined || isApart ? status : `${status}: ${note}`;
    this.#row(area, check, metric, cell(measured), limit(tolerance), end);
    if (isApart) this.#io.out(`${" ".repeat(WIDTHS.area + 2)}${note}\n`);
  }

  finish(tally: Tally, isOk: boolean): void {
    this.#clear();
    this.#io.out(`\n${isOk ? "ok" : "FAILED"}: ${tally.toString()}\n`);
  }

  #clear(): void {
    if (this.#io.isTty) this.#io.err("\r\x1b[K");
  }

  #row(
    area: string,
    check: string,
    metric: string,
    measured: string,
    tolerance: string,
    status: string,
  ): void {
    const cells = [
      area.padEnd(WIDTHS.area),
      check.padEnd(WIDTHS.check),
      metric.padEnd(WIDTHS.metric),
      measured.padStart(WIDTHS.measured),
      tolerance.padStart(WIDTHS.tolerance),
      status,
    ];
    this.#io.out(`${cells.join("  ")}\n`);
  }
}

function cell(value: number | string | null): string {
  if (value === null) return "";
  if (typeof value === "string") return value;
  if (Number.isInteger(value) || !Number.isFinite(value)) return String(value);
  return Math.abs(value) < 0.01 ? value.toExponential(2) : value.toPrecision(3);
}

/** Tolerances are round numbers: no digits that say nothing. */
function limit(value: number | string | null): string {
  return typeof value === "number" && value > 0 && value < 0.01
    ? value.toExponential()
    : String(value ?? "");
}
