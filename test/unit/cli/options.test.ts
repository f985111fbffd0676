import { describe, expect, test } from "vitest";
import {
  formatBar,
  formatBytes,
  formatMs,
  formatPercent,
  formatRate,
} from "../../../cli/format.ts";
import { parseBytes } from "../../../cli/format.ts";
import {
  budgetOf,
  parseMethod,
  parseOptions,
  suggest,
  usageText,
  UsageError,
  type OptionSpecs,
} from "../../../cli/options.ts";

const SPECS = {
  model: { type: "text", short: "m", value: "FILE", help: "A file" },
  keep: { type: "number", value: "X", min: 0, max: 1, isAboveMin: true, help: "Share" },
  tokens: { type: "integer", value: "N", min: 1, help: "Count" },
  bytes: { type: "bytes", value: "SIZE", help: "Size" },
  engine: { type: "choice", choices: ["auto", "wasm"], help: "Engine" },
  stop: { type: "text", value: "TEXT", multiple: true, help: "Stops" },
  json: { type: "flag", help: "JSON" },
} as const satisfies OptionSpecs;

const parse = (...args: string[]) => parseOptions(SPECS, args);

describe("parseOptions", () => {
  test("reads every kind of option", () => {
    const values = parse(
      ...["-m", "a.gguf", "--keep=0.2", "--tokens", "512", "--bytes", "10MiB"],
      ...["--engine", "wasm", "--stop", "A", "--stop", "-B", "--json"],
    );
    expect(values).toEqual({
      model: "a.gguf",
      keep: 0.2,
      tokens: 512,
      bytes: 10 * 2 ** 20,
      engine: "wasm",
      stop: ["A", "-B"],
      json: true,
    });
  });

  test("leaves what is not given undefined, false or empty", () => {
    expect(parse()).toMatchObject({ model: undefined, stop: [], json: false });
  });

  test.each([
    [["--modle", "x"], "Unknown option --modle; did you mean --model?"],
    [["--zebra"], "Unknown option --zebra"],
    [["-x"], "Unknown option -x"],
    [["--constructor"], "Unknown option --constructor"],
    [["stray"], 'Unexpected argument "stray"'],
    [["--model"], "--model needs a value"],
    [["--json=yes"], '--json takes no value, got "yes"'],
    [["--keep", "0"], '--keep must be a number above 0 and at most 1, got "0"'],
    [["--keep", "20%"], '--keep must be a number above 0 and at most 1, got "20%"'],
    [["--tokens", "1.5"], '--tokens must be a whole number of at least 1, got "1.5"'],
    [["--tokens", "-3"], '--tokens must be a whole number of at least 1, got "-3"'],
    [["--tokens", ""], '--tokens must be a whole number of at least 1, got ""'],
    [["--bytes", "much"], '--bytes must be a size such as 64MB or 10MiB, got "much"'],
    [["--engine", "gpu"], '--engine must be one of auto, wasm, got "gpu"'],
  ])("refuses %j", (args, message) => {
    expect(() => parse(...args)).toThrow(new UsageError(message));
  });
});

test("suggest: slips only", () => {
  expect(suggest("rnu", ["run", "chat"])).toBe("run");
  expect(suggest("chta", ["run", "chat"])).toBe("chat");
  expect(suggest("dog", ["run", "chat"])).toBe(undefined);
  expect(suggest("chaat", ["run", "chat"])).toBe("chat");
  expect(suggest("par", ["run", "parity"])).toBe("parity");
  expect(suggest("", ["run"])).toBe(undefined);
});

test("usageText: synopsis, options with their values, example", () => {
  const text = usageText("kvasir x [options]", "Does x.", SPECS, ["kvasir x -m a.gguf"]);
  expect(text).toContain("Usage: kvasir x [options]\n\nDoes x.");
  expect(text).toMatch(/-m, --model FILE {2,}A file/);
  expect(text).toMatch(/--engine auto\|wasm {2,}Engine/);
  expect(text).toContain("Example:\n  kvasir x -m a.gguf\n");
});

describe("parseMethod", () => {
  test("takes a name, or a name with parameters", () => {
    expect(parseMethod("snapkv")).toBe("snapkv");
    expect(parseMethod("snapkv:windowSize=16,pooling=avg,exact=true")).toEqual({
      name: "snapkv",
      windowSize: 16,
      pooling: "avg",
      exact: true,
    });
  });

  test("refuses a parameter without a value", () => {
    expect(() => parseMethod("snapkv:16")).toThrow(UsageError);
  });
});

test("budgetOf: one of three", () => {
  const none = { keep: undefined, tokens: undefined, bytes: undefined };
  expect(budgetOf(none)).toBe(undefined);
  expect(budgetOf({ ...none, tokens: 5 })).toEqual({ tokens: 5 });
  expect(() => budgetOf({ ...none, tokens: 5, keep: 0.1 })).toThrow(UsageError);
});

describe("format", () => {
  test.each([
    ["64MB", 64e6],
    ["10MiB", 10 * 2 ** 20],
    ["1.5 kib", 1536],
    ["4096", 4096],
    ["0", undefined],
    ["-1MB", undefined],
    ["1XB", undefined],
    ["1e3", undefined],
  ])("parseBytes(%j) is %j", (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  test("formatBytes: three digits", () => {
    expect([0, 999, 1000, 1536, 1048064, 123 * 2 ** 20].map(formatBytes)).toEqual([
      "0 B",
      "999 B",
      "0.98 KiB",
      "1.50 KiB",
      "1.00 MiB",
      "123 MiB",
    ]);
  });

  test("formatMs, formatRate, formatPercent", () => {
    expect([formatMs(12.4), formatMs(1420), formatMs(61_000)]).toEqual([
      "12 ms",
      "1.42 s",
      "61.0 s",
    ]);
    expect([formatRate(0), formatRate(31.52), formatRate(1234.5)]).toEqual(["-", "31.5", "1,235"]);
    expect([0, 0.041, 0.2, 1].map(formatPercent)).toEqual(["0 %", "4.1 %", "20 %", "100 %"]);
  });

  test("formatBar: never empty for something, never over", () => {
    expect(formatBar(0.001, 4, true)).toBe("█░░░");
    expect(formatBar(2, 4, false)).toBe("####");
    expect(formatBar(Number.NaN, 4, false)).toBe("----");
  });
});
