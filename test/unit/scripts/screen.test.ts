// The recorder's terminal: what a program's output leaves on the screen, and its picture.
import { describe, expect, test } from "vitest";

interface Cell {
  readonly character: string;
  readonly isBold: boolean;
  readonly isDim: boolean;
  readonly colour: number | null;
}

interface ScreenModule {
  readonly Screen: new (size: { columns: number; rows: number }) => {
    write(text: string): void;
    lines(): (Cell | null)[][];
  };
}

interface SvgModule {
  screenToSvg(lines: (Cell | null)[][], facts: { columns: number; title: string }): string;
}

const folder = new URL("../../../scripts/lib/", import.meta.url);
const { Screen } = (await import(new URL("screen.mjs", folder).href)) as ScreenModule;
const { screenToSvg } = (await import(new URL("screen-svg.mjs", folder).href)) as SvgModule;

function cells(text: string, size = { columns: 10, rows: 5 }): (Cell | null)[][] {
  const screen = new Screen(size);
  screen.write(text);
  return screen.lines();
}

const shown = (text: string, size?: { columns: number; rows: number }): string[] =>
  cells(text, size).map((line) => line.map((cell) => cell?.character ?? " ").join(""));

describe("Screen", () => {
  test.each([
    ["a\r\nb", ["a", "b"]],
    ["load 10 %\rload 9", ["load 90 %"]],
    ["progress\r\x1b[Kdone", ["done"]],
    ["one\r\ntwo\x1b[A\rONE", ["ONE", "two"]],
    ["0123456789ab", ["0123456789", "ab"]],
    ["\x1b]0;title\x07x\x1b[?25ly", ["xy"]],
    ["a\x1b[5Gb", ["a   b"]],
  ])("%j leaves %j", (text, lines) => expect(shown(text)).toEqual(lines));

  test("older lines scroll away", () => {
    expect(shown("1\r\n2\r\n3\r\n", { columns: 10, rows: 3 })).toEqual(["2", "3"]);
  });

  test("colours and weights end where they are reset", () => {
    const [line] = cells("\x1b[1;32mok\x1b[0m!\x1b[2md\x1b[22mp");
    expect(line?.map((cell) => [cell?.isBold, cell?.isDim, cell?.colour])).toEqual([
      [true, false, 2],
      [true, false, 2],
      [false, false, null],
      [false, true, null],
      [false, false, null],
    ]);
  });
});

describe("screenToSvg", () => {
  test("escapes text, draws blocks, refers to nothing outside", () => {
    const svg = screenToSvg(cells("  a < b\r\n██░░"), { columns: 10, title: "x & y" });
    expect(svg).toContain(">a &#60; b</text>");
    expect(svg).toContain('aria-label="Terminal: x &#38; y"');
    expect(svg.match(/<rect [^>]*opacity/g)).toHaveLength(2);
    expect(svg.replace("http://www.w3.org/2000/svg", "")).not.toMatch(/https?:|href|@import/);
  });
});
