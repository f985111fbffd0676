import { format } from "prettier";
import { describe, expect, it } from "vitest";
import {
  formatMegabytes,
  formatNumber,
  formatPercent,
  renderTable,
  rewriteMarkers,
} from "../../../bench/table.ts";

const table = renderTable(
  [{ title: "name" }, { title: "n", isNumber: true }],
  [
    ["a", "1"],
    ["longer|name", "1,234"],
  ],
);

describe("renderTable", () => {
  it("pads cells, puts numbers to the right and escapes bars", () => {
    expect(table).toBe(
      [
        "| name         |     n |",
        "| ------------ | ----: |",
        "| a            |     1 |",
        "| longer\\|name | 1,234 |",
      ].join("\n"),
    );
  });

  it("is what Prettier makes of it", async () => {
    expect((await format(table, { parser: "markdown", proseWrap: "preserve" })).trim()).toBe(table);
  });

  it("fills missing cells", () => {
    expect(renderTable([{ title: "a" }, { title: "b" }], [["1"]])).toContain("| 1   |     |");
  });
});

describe("rewriteMarkers", () => {
  const page = "before\n\n<!-- bench:one -->\n\nold\n\n<!-- /bench -->\n\nafter\n";

  it("replaces what is between a marker and its end, and nothing else", () => {
    const { text, missing } = rewriteMarkers(page, { one: "new" });
    expect(text).toBe(page.replace("old", "new"));
    expect(missing).toEqual([]);
  });

  it("changes nothing the second time", () => {
    const once = rewriteMarkers(page, { one: table }).text;
    expect(rewriteMarkers(once, { one: table }).text).toBe(once);
  });

  it("fills an empty place", () => {
    const empty = "<!-- bench:one -->\n<!-- /bench -->";
    expect(rewriteMarkers(empty, { one: "new" }).text).toContain("\n\nnew\n\n");
  });

  it("keeps each part in its own place", () => {
    const two = `${page}<!-- bench:two --><!-- /bench -->`;
    const { text } = rewriteMarkers(two, { one: "first", two: "second" });
    expect(text.indexOf("first")).toBeLessThan(text.indexOf("after"));
    expect(text.indexOf("second")).toBeGreaterThan(text.indexOf("after"));
  });

  it("leaves places without a part, and names parts without a place", () => {
    expect(rewriteMarkers(page, { other: "x" })).toEqual({ text: page, missing: ["other"] });
  });

  it("takes a dollar sign as it is", () => {
    expect(rewriteMarkers(page, { one: "$& $1" }).text).toContain("$& $1");
  });

  it.each([
    ["the page ends", "<!-- bench:one -->\nold\n"],
    ["the next one begins", "<!-- bench:one -->\n<!-- bench:two -->\n<!-- /bench -->"],
  ])("throws for a marker that is open when %s", (_, broken) => {
    expect(() => rewriteMarkers(broken, { one: "x" })).toThrow('"bench:one" is not closed');
  });
});

describe("formats", () => {
  it("numbers have three figures, more before the point", () => {
    expect([0, 0.01234, 1.234, 12.34, 123.4, 12345].map(formatNumber)).toEqual([
      "0",
      "0.0123",
      "1.23",
      "12.3",
      "123",
      "12,345",
    ]);
    expect(formatNumber(NaN)).toBe("-");
  });

  it("megabytes are 10^6 bytes; fractions are per cent", () => {
    expect(formatMegabytes(2_500_000)).toBe("2.5");
    expect(formatPercent(0.125)).toBe("12.5 %");
  });
});
