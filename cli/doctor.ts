// `kvasir doctor`: what this machine offers, and what would be faster.
import { examine, type DoctorReport, type EngineReport } from "../src/doctor.ts";
import type { Command } from "./command.ts";
import { formatBytes } from "./format.ts";
import { type OptionSpecs, parseOptions, usageText } from "./options.ts";

const OPTIONS = {
  json: { type: "flag", help: "Print one JSON object" },
} as const satisfies OptionSpecs;

/** @param machine Facts that only the program knows, label and value. */
export function doctorCommand(machine: Readonly<Record<string, string>>): Command {
  return {
    name: "doctor",
    summary: "Show what this machine offers",
    usage: usageText(
      "kvasir doctor [--json]",
      "Tries every engine, describes the GPU, and says what would be faster. Loads no model.",
      OPTIONS,
      ["kvasir doctor", "kvasir doctor --json"],
    ),
    run: async (args, io) => {
      const values = parseOptions(OPTIONS, args);
      const report = await examine(io.runtime);
      io.out(
        values.json
          ? `${JSON.stringify({ machine, ...report }, null, 2)}\n`
          : formatReport(report, machine),
      );
      return report.chosen === null ? 1 : 0;
    },
  };
}

function formatReport(report: DoctorReport, machine: Readonly<Record<string, string>>): string {
  const { runtime, kernels, engines, chosen, advice } = report;
  const shared = runtime.hasSharedMemory ? "workers share memory" : "workers share no memory";
  const rows: [string, string][] = [
    ["runtime", runtime.name],
    ...Object.entries(machine),
    ["threads", `${runtime.threads}, ${shared}`],
    ["kernels", kernels ?? "none run here"],
    ...engines.map((engine): [string, string] => [
      engine.name,
      `${describe(engine)}${engine.name === chosen ? " (chosen)" : ""}`,
    ]),
    ...gpuRows(report),
    ...advice.map((text, i): [string, string] => [i === 0 ? "faster" : "", text]),
  ];
  return rows.map(([label, value]) => `${label.padEnd(12)}${value}\n`).join("");
}

function describe({ problem, activations, nThreads, readAhead, limitBytes }: EngineReport): string {
  if (problem !== null) return `no: ${problem}`;
  const facts = [
    `activations ${activations}`,
    nThreads === undefined || nThreads === 1 ? "" : `${nThreads} threads`,
    readAhead === undefined || readAhead === 0 ? "" : `${readAhead} steps ahead`,
    limitBytes === undefined || limitBytes === null ? "" : `at most ${formatBytes(limitBytes)}`,
  ];
  return `works, ${facts.filter((fact) => fact !== "").join(", ")}`;
}

function gpuRows({ gpu }: DoctorReport): [string, string][] {
  if (gpu === null) return [["gpu", "none"]];
  const { vendor, architecture, description, features, limits, isSoftware, variants, tuning } = gpu;
  const name = [description, vendor, architecture].filter((part) => part !== "").join(", ");
  const number = (limit: string, value: number): string =>
    limit.endsWith("Size") ? formatBytes(value) : String(value);
  const sizes =
    tuning === null
      ? "none, the adapter gives no device"
      : `lanes x ${tuning.laneFactor}, tiles of ${tuning.tileTokens} tokens (${tuning.source})`;
  return [
    ["gpu", `${name}${isSoftware ? " (computes on the CPU)" : ""}`],
    ["features", features.join(", ") || "none"],
    ...Object.entries(limits).map(([limit, value], i): [string, string] => [
      i === 0 ? "limits" : "",
      `${limit} ${number(limit, value)}`,
    ]),
    ...variants.map(({ name, reason }, i): [string, string] => [
      i === 0 ? "variants" : "",
      `${name}: ${reason === null ? `used${whenUsed(name)}, its self-test passed` : `plain instead, ${reason}`}`,
    ]),
    ["tuning", sizes],
  ];
}

function whenUsed(name: string): string {
  return name === "packed-dot" ? " with activations q8" : "";
}
