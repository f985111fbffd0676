import { describe, expect, test } from "vitest";
import { methodsCommand } from "../../../cli/methods.ts";
import { UsageError } from "../../../cli/options.ts";
import type { MethodDescription } from "../../../src/compression/describe-methods.ts";
import { methodNames } from "../../../src/compression/registry.ts";
import { type FakeIo, fakeIo } from "./fakes.ts";

async function run(args: string[], io: FakeIo = fakeIo()): Promise<string> {
  expect(await methodsCommand.run(args, io)).toBe(0);
  return io.stdout();
}

describe("kvasir methods", () => {
  test("a line for each method of the registry, under the titles", async () => {
    const [titles, ...lines] = (await run([])).trimEnd().split("\n");
    expect(titles?.split(/ {2,}/)).toEqual(
      ["name", "keeps", "signals", "phases", "ragged", "query", "budget", "paper"], // prettier-ignore
    );
    expect(lines.map((line) => line.split(" ")[0])).toEqual(methodNames());
    expect(lines.find((line) => line.startsWith("h2o "))?.split(/ {2,}/)).toEqual([
      "h2o",
      "rows with the most attention of all queries so far, and the newest",
      "colSum",
      "prompt+decode",
      "yes",
      "yes",
      "needed",
      "arXiv:2306.14048",
    ]);
  });

  test("on a narrow terminal the second column wraps", async () => {
    const text = await run([], fakeIo({ isTty: true, columns: 110 }));
    expect(text).toMatch(/^knorm +rows with the shortest +keys +prompt +yes +no +needed/m);
    expect(text).toMatch(/^ {20}keys$/m);
  });

  test("every method of the library says what it keeps", async () => {
    const all = JSON.parse(await run(["--json"])) as MethodDescription[];
    expect(all.map(({ name }) => name)).toEqual(methodNames());
    expect(all.filter(({ keeps }) => keeps === "")).toEqual([]);
    expect(all.find(({ name }) => name === "tova")).toEqual({
      name: "tova",
      version: 1,
      keeps: "rows that the newest query attends to",
      paper: "arXiv:2401.06104",
      signals: { prefill: ["lastRow"], decode: ["lastRow"] },
      phases: ["prompt", "decode", "overflow"],
      scope: "layer",
      raggedHeads: false,
      sharedAcrossHeads: true,
      queryAware: true,
      budget: "required",
      parameters: [{ name: "interval", default: 1, range: "an integer >= 0" }],
    });
  });

  test("takes no other argument", () => {
    expect(() => methodsCommand.run(["snapkv"], fakeIo())).toThrow(UsageError);
  });
});
