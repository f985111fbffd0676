// Prompts whose answers are known and that no data set is needed for: worked examples ("shots"), then a
// question. The same texts, in the same order, as the study's generator makes (split "test", seed 7).
import { PythonRandom } from "./python-random.ts";

/** How an answer is judged: the number after a mark, or the first number. */
export type Judge = { readonly kind: "marked"; readonly mark: string } | { readonly kind: "first" };

export interface Item {
  /** Before the shots. */
  readonly head: string;
  /** Question and answer of each shot: what is tokenised apart. */
  readonly shots: readonly (readonly [string, string])[];
  readonly question: string;
  readonly answer: string;
  readonly judge: Judge;
  /** Tokens that an answer has at most. */
  readonly maxTokens: number;
}

export const FAMILIES = ["ar_wp1_50", "ret_pass"] as const;
export type Family = (typeof FAMILIES)[number];

const makers: Readonly<Record<Family, (random: PythonRandom) => Item>> = {
  ar_wp1_50: wordProblems,
  ret_pass: passKey,
};

/** The first `n` prompts of a family: a longer list begins with the shorter one. */
export function makeItems(family: Family, n: number): Item[] {
  const random = new PythonRandom(`${family}/test/7`);
  return Array.from({ length: n }, () => makers[family](random));
}

const NAMES = (
  "John Mary Peter Alice David Susan George Helen Henry Laura Oliver Grace Simon Clara Victor Julia " +
  "Martin Diana Oscar Nora Leo Iris Hugo Maya Felix Ivy Karl Edith Roger Tina"
).split(" ");

const THINGS =
  "apples pencils marbles candles cookies flowers oranges boxes tickets candies beads bottles".split(
    " ",
  );

const N_PROBLEMS = 40;
const MARK = "The answer is";

function wordProblems(random: PythonRandom): Item {
  const all = Array.from({ length: N_PROBLEMS + 1 }, () => wordProblem(random));
  const last = all.pop() ?? { text: "", work: "", value: 0 };
  return {
    head: "",
    shots: all.map(({ text, work, value }) => [asked(text), ` ${work} ${MARK} ${value}.\n\n`]),
    question: asked(last.text),
    answer: String(last.value),
    judge: { kind: "marked", mark: MARK },
    maxTokens: 48,
  };
}

const asked = (text: string): string => `Q: ${text}\nA:`;

/** One step: a sum, a difference, a product, or a sum of two people's. */
function wordProblem(r: PythonRandom): { text: string; work: string; value: number } {
  const name = r.choice(NAMES);
  const things = r.choice(THINGS);
  const other = r.choice(NAMES.filter((one) => one !== name));
  switch (r.integer(0, 3)) {
    case 0: {
      const [a, b] = [r.integer(2, 20), r.integer(2, 20)];
      const text =
        `${name} has ${a} ${things}. ${other} gives ${name} ${b} more. ` +
        `How many ${things} does ${name} have now?`;
      return { text, work: `${a} + ${b} = ${a + b}.`, value: a + b };
    }
    case 1: {
      const b = r.integer(2, 12);
      const a = b + r.integer(1, 15);
      const text =
        `${name} has ${a} ${things}. ${name} gives ${b} of them to ${other}. ` +
        `How many ${things} are left?`;
      return { text, work: `${a} - ${b} = ${a - b}.`, value: a - b };
    }
    case 2: {
      const [a, b] = [r.integer(2, 9), r.integer(2, 9)];
      const text =
        `There are ${a} bags with ${b} ${things} in each bag. ` +
        `How many ${things} are there in total?`;
      return { text, work: `${a} * ${b} = ${a * b}.`, value: a * b };
    }
    default: {
      const [a, b] = [r.integer(2, 15), r.integer(2, 15)];
      const text =
        `${name} buys ${a} ${things} and ${other} buys ${b} ${things}. ` +
        `How many ${things} do they have together?`;
      return { text, work: `${a} + ${b} = ${a + b}.`, value: a + b };
    }
  }
}

const FILLERS = [
  "The grass is green and the sky is blue.",
  "The sun is yellow and warm in the morning.",
  "We went for a long walk by the river.",
  "There and back again, the road goes on.",
  "The market opens early on most days.",
  "A light rain fell over the quiet town.",
  "People talked about the weather and the news.",
  "The train was late but nobody seemed to mind.",
  "Old trees stood along the narrow street.",
  "The library keeps many books about the sea.",
  "Children were playing near the old bridge.",
  "The bread from the corner shop is very good.",
];

const N_FILLERS = 50;
const N_DIGITS = 5;

/** A number said twice in one line among lines that say nothing; a line is a shot. */
function passKey(random: PythonRandom): Item {
  const key = Array.from({ length: N_DIGITS }, () => random.choice("0123456789")).join("");
  const lines = Array.from({ length: N_FILLERS }, () => `${random.choice(FILLERS)}\n`);
  const at = random.integer(2, N_FILLERS - 2);
  lines.splice(at, 0, `The pass key is ${key}. Remember it. ${key} is the pass key.\n`);
  return {
    head: "There is an important pass key hidden in the text. Find it and remember it.\n",
    shots: lines.map((line) => [line, ""]),
    question: "What is the pass key? The pass key is",
    answer: key,
    judge: { kind: "first" },
    maxTokens: 8,
  };
}
