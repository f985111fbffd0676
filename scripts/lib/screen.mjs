// As much of a terminal as progress bars and colours need: the cells that a program's output leaves.

const CONTROL = "\x1b";
/** Between ESC [ and its letter. */
const SEQUENCE = new RegExp(`^${CONTROL}\\[([?\\d;]*)([@-~])`);
/** A title, ended by BEL or ST: nothing on the screen. */
const TITLE = new RegExp(`^${CONTROL}\\][^\\u0007${CONTROL}]*(?:\\u0007|${CONTROL}\\\\)`);

const plain = { isBold: false, isDim: false, colour: null };

export class Screen {
  #lines = [[]];
  #row = 0;
  #column = 0;
  #style = plain;
  #columns;
  #rows;

  /** @param size.rows Lines beyond it scroll away at the top. */
  constructor({ columns, rows }) {
    this.#columns = columns;
    this.#rows = rows;
  }

  write(text) {
    for (let at = 0; at < text.length;) {
      const length = text[at] === CONTROL ? this.#control(text.slice(at, at + 256)) : 0;
      if (length > 0) {
        at += length;
        continue;
      }
      const character = String.fromCodePoint(text.codePointAt(at));
      this.#put(character);
      at += character.length;
    }
  }

  /** The last lines: per line, cells { character, isBold, isDim, colour }, null where nothing is. */
  lines() {
    const lines = this.#lines.slice(-this.#rows);
    while (lines.length > 1 && lines.at(-1).length === 0) lines.pop();
    return lines.map((line) => Array.from(line, (cell) => cell ?? null));
  }

  #put(character) {
    if (character === "\r") this.#column = 0;
    else if (character === "\n") this.#down();
    else if (character === "\b") this.#column = Math.max(0, this.#column - 1);
    else if (character >= " ") {
      if (this.#column >= this.#columns) {
        this.#column = 0;
        this.#down();
      }
      this.#lines[this.#row][this.#column++] = { character, ...this.#style };
    }
  }

  #down() {
    this.#row++;
    this.#lines[this.#row] ??= [];
  }

  /** @returns Characters read, 0 for what is not understood. */
  #control(text) {
    const title = TITLE.exec(text);
    if (title !== null) return title[0].length;
    const [whole = "", given = "", letter] = SEQUENCE.exec(text) ?? [];
    const n = Number.parseInt(given, 10);
    const line = this.#lines[this.#row];
    if (letter === "m") this.#restyle(given.split(";").map(Number));
    else if (letter === "K") line.length = n === 2 ? 0 : Math.min(line.length, this.#column);
    else if (letter === "A") this.#row = Math.max(0, this.#row - (n || 1));
    else if (letter === "G") this.#column = (n || 1) - 1;
    return whole.length;
  }

  #restyle(codes) {
    for (const code of codes) {
      if (code === 0) this.#style = plain;
      else if (code === 1) this.#style = { ...this.#style, isBold: true };
      else if (code === 2) this.#style = { ...this.#style, isDim: true };
      else if (code === 22) this.#style = { ...this.#style, isBold: false, isDim: false };
      else if (code === 39) this.#style = { ...this.#style, colour: null };
      else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) {
        this.#style = { ...this.#style, colour: code % 10 };
      }
    }
  }
}
