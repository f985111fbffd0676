// Variants: used where the device gives the known answers, else off with the reason and replaced by
// the plain text.
import { afterEach, describe, expect, it } from "vitest";
import type { Engine } from "../../../../src/engine/engine.ts";
import { moduleText, type Variant } from "../../../../src/engine/webgpu/device/variant.ts";
import largest from "../../../../src/engine/webgpu/shaders/lib/reduce/largest.wgsl";
import sumLanes from "../../../../src/engine/webgpu/shaders/lib/reduce/sum_lanes.wgsl";
import sumWorkgroup from "../../../../src/engine/webgpu/shaders/lib/reduce/sum_workgroup.wgsl";
import { VARIANTS } from "../../../../src/engine/webgpu/variants/table.ts";
import { Rig } from "../../../contract/rig.ts";
import { openWebGpu } from "../../../support/webgpu.ts";

const engines: Engine[] = [];
afterEach(() => {
  for (const engine of engines.splice(0)) engine.dispose();
});

async function open(variants: readonly Variant[]) {
  const opened = await openWebGpu({ variants });
  engines.push(opened.engine);
  return opened;
}

/** `variant` with `text` in place of what it has for the plain text `library`. */
function withText(variant: Variant, library: string, text: string): Variant {
  return { ...variant, libraries: new Map([...variant.libraries, [library, text]]) };
}

async function argmaxOf(engine: Engine, values: Float32Array): Promise<number | undefined> {
  const rig = new Rig(engine);
  const [logits, out] = [rig.f32(values), rig.u32([0])];
  engine.argmax(out, logits, 1, values.length);
  return (await rig.readU32(out))[0];
}

describe("the self-test", () => {
  it.each(VARIANTS)("plain texts pass the tests of $name", async (variant) => {
    const plain = { ...variant, libraries: new Map(), feature: null, languageFeature: null };
    const { variants } = await open([plain]);
    expect(variants).toEqual([
      { name: variant.name, isUsed: true, isRefused: false, reason: null },
    ]);
  });

  it("subgroups pass where the adapter has them", async () => {
    const { variants, features } = await open(VARIANTS);
    const report = variants.find(({ name }) => name === "subgroups");
    expect(report?.isUsed).toBe(features.has("subgroups"));
    expect(report?.reason ?? "").toMatch(features.has("subgroups") ? /^$/ : /has no subgroups/);
  });

  const values = Float32Array.from({ length: 5000 }, (_, i) => (i === 3210 ? 7 : Math.sin(i)));
  // Texts without directives, so that they can be wrong on every adapter.
  const [{ directive: _, feature: __, ...rest }] = VARIANTS as [Variant];
  const base: Variant = { ...rest, directive: "", feature: null, libraries: new Map() };
  const wrong: [string, Variant][] = [
    ["one lane is left out", withText(base, sumLanes, sumLanes.replace("step > 0u", "step > 1u"))],
    ["a sum of half", withText(base, sumWorkgroup, sumWorkgroup.replace("= 64u;", "= 32u;"))],
    [
      "the last on ties",
      withText(
        base,
        largest,
        largest.replace(
          "larger(pairs[local], pairs[local + step])",
          "larger(pairs[local + step], pairs[local] - vec2u(0u, 99u))",
        ),
      ),
    ],
  ];
  it.each(wrong)("wrong numbers, %s: off, and plain does its work", async (_name, variant) => {
    const { engine, variants } = await open([variant]);
    expect(variants).toMatchObject([{ isUsed: false, isRefused: true }]);
    expect(variants[0]?.reason).toMatch(/^its self-test "reduce_\w+" gave a wrong word at \d+$/);
    expect(await argmaxOf(engine, values)).toBe(3210);
  });

  it("a text that does not compile: off, and plain does its work", async () => {
    const { engine, variants } = await open([
      withText(base, largest, "fn largest() -> nothing {}"),
    ]);
    expect(variants[0]?.reason).toMatch(/^it does not compile, /);
    expect(await argmaxOf(engine, values)).toBe(3210);
  });

  it("a feature that the device lacks: not tried", async () => {
    const lacking = { ...base, languageFeature: "no_such_feature" };
    expect((await open([lacking])).variants).toEqual([
      {
        name: "subgroups",
        isUsed: false,
        isRefused: false,
        reason: "WGSL has no no_such_feature here",
      },
    ]);
  });
});

describe("the text of a module", () => {
  const variant = (directive: string, plain: string, other: string): Variant => ({
    ...(VARIANTS[0] as Variant),
    directive,
    libraries: new Map([[plain, other]]),
  });
  const a = variant("enable a;", "fn x() {}", "fn x() { a(); }");
  const b = variant("enable b;", "fn y() {}", "fn y() { b(); }");

  it("has directives of what it uses, first, and no others", () => {
    const shader = { source: "main", libraries: ["fn z() {}", "fn y() {}"] };
    expect(moduleText(shader, [a, b], 8)).toBe(
      ["enable b;", "const SUBGROUP = 8u;", "main", "fn z() {}", "fn y() { b(); }"].join("\n"),
    );
  });

  it("is plain without variants", () => {
    const shader = { source: "main", libraries: ["fn x() {}"] };
    expect(moduleText(shader, [], 8)).toBe("main\nfn x() {}");
    expect(moduleText(shader, [b], 8)).toBe("main\nfn x() {}");
  });
});
