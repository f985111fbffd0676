// What the contract's cases use of vitest, where there is none: scripts/lib/suite.mjs puts this file in
// its place. `expect` is vitest's own.
import { JestAsymmetricMatchers, JestChaiExpect, JestExtend } from "@vitest/expect";
import * as chai from "chai";

/** What became of one case. */
export interface CaseReport {
  /** Its groups' names and its own. */
  readonly name: string;
  readonly ms: number;
  /** Why it failed; null where it passed. */
  readonly failure: string | null;
}

type Body = () => void | Promise<void>;

/** Cases and groups in the order in which they were registered. */
class Group {
  readonly name: string;
  readonly before: Body[] = [];
  readonly after: Body[] = [];
  readonly entries: (Group | { readonly name: string; readonly body: Body })[] = [];

  constructor(name: string) {
    this.name = name;
  }
}

let current = new Group("");

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);
export const expect = chai.expect;

export function describe(name: string, register: () => void): void {
  const [outer, group] = [current, new Group(name)];
  outer.entries.push(group);
  current = group;
  try {
    register();
  } finally {
    current = outer;
  }
}

export function it(name: string, body: Body): void {
  current.entries.push({ name, body });
}

export function beforeAll(body: Body): void {
  current.before.push(body);
}

export function afterAll(body: Body): void {
  current.after.push(body);
}

/** The cases that `register` registers, as groups; nothing runs yet. */
export function collect(register: () => void): Group {
  const [outer, group] = [current, new Group("")];
  current = group;
  try {
    register();
  } finally {
    current = outer;
  }
  return group;
}

/** The whole names of a group's cases. */
export function namesOf(group: Group): string[] {
  return group.entries.flatMap((entry) => casesOf(entry, entry.name).map(([name]) => name));
}

export interface RunOptions {
  /** Cases whose whole name it accepts run. Default: all. */
  readonly wants?: (name: string) => boolean;
  /** Called after each. */
  readonly onCase: (report: CaseReport) => void;
}

/** Runs a group's cases one after the other. A group none of whose cases run is not prepared. */
export async function runGroup(group: Group, options: RunOptions, path = ""): Promise<void> {
  const { wants = () => true } = options;
  const nameOf = (name: string): string => (path === "" ? name : `${path} > ${name}`);
  const isWanted = (entry: Group["entries"][number], at: string): boolean =>
    entry instanceof Group
      ? entry.entries.some((inner) => isWanted(inner, `${at} > ${inner.name}`))
      : wants(at);
  const wanted = group.entries.filter((entry) => isWanted(entry, nameOf(entry.name)));
  if (wanted.length === 0) return;
  const prepared = await attempt(group.before);
  for (const entry of wanted) {
    if (entry instanceof Group && prepared === null) {
      await runGroup(entry, options, nameOf(entry.name));
    } else {
      for (const [name, body] of casesOf(entry, nameOf(entry.name))) {
        const begin = performance.now();
        const failure = prepared ?? (await attempt([body]));
        options.onCase({ name, ms: performance.now() - begin, failure });
      }
    }
  }
  const ended = await attempt(group.after);
  if (ended !== null) options.onCase({ name: nameOf("after all"), ms: 0, failure: ended });
}

function casesOf(entry: Group["entries"][number], at: string): (readonly [string, Body])[] {
  if (!(entry instanceof Group)) return [[at, entry.body]];
  return entry.entries.flatMap((inner) => casesOf(inner, `${at} > ${inner.name}`));
}

/** @returns Why one of the bodies failed, or null. */
async function attempt(bodies: readonly Body[]): Promise<string | null> {
  try {
    for (const body of bodies) await body();
    return null;
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
}
