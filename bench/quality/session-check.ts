// Whether a variant's kept rows and answer are those of a real session with that method: the session
// does its own prefill, and the lists are seen where its cache hands them to the engine.
import type { LocalModel } from "../../src/session/local-model.ts";
import { LocalSession } from "../../src/session.ts";
import { check } from "../cases/case.ts";
import { budgetOf, type Reply } from "./ask.ts";
import type { Kept } from "./fan-out.ts";
import type { Variant } from "./methods.ts";
import type { Prompt } from "./prompt.ts";

/** @throws {CheckError} Where they are not. */
export async function checkBySession(
  model: LocalModel,
  prompt: Prompt,
  variant: Variant,
  reply: Reply,
  maxTokens: number,
): Promise<void> {
  const { kept, text } = await answerOfSession(model, prompt, variant, maxTokens);
  const name = `${variant.label} at ${variant.keep}`;
  for (let l = 0; l < model.config.nLayers; l++) {
    const [ours, own] = [listed(reply.kept, l), listed(kept, l)];
    check(ours === own, `Cannot trust ${name}: layer ${l} keeps ${ours}, a session ${own}`);
  }
  const [ours, own] = [JSON.stringify(reply.text), JSON.stringify(text)];
  check(ours === own, `Cannot trust ${name}: it answers ${ours}, a session ${own}`);
}

const listed = (kept: Kept, l: number): string =>
  JSON.stringify(kept.get(l)?.map((rows) => [...rows]) ?? "all");

async function answerOfSession(
  model: LocalModel,
  { tokens, segments }: Prompt,
  variant: Variant,
  maxTokens: number,
): Promise<{ readonly kept: Kept; readonly text: string }> {
  const lists: (readonly Uint32Array[])[] = [];
  const budget = budgetOf(variant);
  const options = { method: variant.method, ...(budget && { budget }) };
  const session = new LocalSession(watched(model, lists), options);
  try {
    const answer = { segments, maxTokens, stop: "\n" };
    let text = "";
    for await (const event of session.generate({ tokens }, answer)) {
      if (event.type === "done") text = event.text;
    }
    const layers = Array.from({ length: model.config.nLayers }, (_, l) => l);
    const nCalls = budget === undefined ? 0 : layers.length;
    check(lists.length === nCalls, `Cannot watch a session: ${lists.length} lists`);
    return { kept: new Map(lists.map((keep, l) => [l, keep])), text };
  } finally {
    session.dispose();
  }
}

/** What sessions are made of; the lists of rows that a cache keeps of a layer are noted. */
function watched(model: LocalModel, lists: (readonly Uint32Array[])[]): LocalModel["parts"] {
  const { transformer } = model.parts;
  const engine = replaced(transformer.engine, {
    gatherRows: (...[target, source, keep]: Parameters<typeof transformer.engine.gatherRows>) => {
      lists.push(keep.map((rows) => rows.slice()));
      transformer.engine.gatherRows(target, source, keep);
    },
  });
  return { ...model.parts, transformer: replaced(transformer, { engine }) };
}

/** `object` with other members in place of its own; private fields stay reachable. */
function replaced<T extends object>(object: T, members: Partial<T>): T {
  return new Proxy(object, {
    get(target, name) {
      if (Object.hasOwn(members, name)) return members[name as keyof T];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
