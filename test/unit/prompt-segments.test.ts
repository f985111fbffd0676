// Segments of prompts, exact in tokens: each is told by the text that its tokens decode to.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compose } from "../../src/compression/compose.ts";
import { defineMethod } from "../../src/compression/define-method.ts";
import type { Segment } from "../../src/compression/segments.ts";
import { recencyScorer } from "../../src/compression/scorers/recency.ts";
import { tokenTopK } from "../../src/compression/selectors/token-top-k.ts";
import { Conversation } from "../../src/session/conversation.ts";
import type { LocalModel } from "../../src/session/local-model.ts";
import { promptSegments } from "../../src/session/prompt-segments.ts";
import type { GenerateInput, SegmentOptions } from "../../src/types.ts";
import { answer, chatParts, chatSession } from "../support/sessions.ts";
import { openToy } from "../support/toys.ts";

let model: LocalModel;
beforeAll(async () => {
  model = await openToy("toy-llama");
});
afterAll(() => model.dispose());

/** Segments as `kind: text`, with "!" where forced. */
function told(input: GenerateInput, options: SegmentOptions = {}): string[] {
  const { tokenizer, chatTemplate } = chatParts(model);
  const conversation = new Conversation(tokenizer, chatTemplate);
  const tokens = conversation.tokensOf(input, true);
  return promptSegments(input, tokens, tokenizer, conversation, options).map(
    ({ kind, begin, end, isForced }) =>
      `${kind}${isForced ? "!" : ""}: ${tokenizer.decode(tokens.subarray(begin, end)).trim()}`,
  );
}

const SHOTS = "Add the numbers.\n\nQ: 1 + 1?\nA: 2\n\nQ: 2 + 3?\nA: 5\n\nQ: 4 + 4?\nA:";

describe("promptSegments", () => {
  test("a plain text has none", () => {
    expect(told("One two three.")).toEqual([]);
  });

  test("messages: system and the last user message, whatever the template says around them", () => {
    const messages = [
      { role: "system", content: "user" },
      { role: "user", content: "system\nassistant" },
      { role: "assistant", content: "Hello." },
      { role: "user", content: "  What is naïve ✓?  " },
    ] as const;
    expect(told(messages)).toEqual(["system: user", "question: What is naïve ✓?"]);
    expect(told(messages, { protect: ["system"] })[0]).toBe("system!: user");
    const turns = told(messages, { splitter: "chat-turn" });
    expect(turns).toHaveLength(3);
    expect(turns[1]).toMatch(/^shot: system\nassistant<\|im_end\|>/);
    expect(turns[1]).toContain("Hello.");
  });

  test("Q:: shots, the text before them, and the last as the question", () => {
    const expected = [
      "text: Add the numbers.",
      "shot: Q: 1 + 1?\nA: 2",
      "shot: Q: 2 + 3?\nA: 5",
      "question: Q: 4 + 4?\nA:",
    ];
    expect(told(SHOTS, { splitter: "Q:" })).toEqual(expected);
    const chat = told([{ role: "user", content: SHOTS }], { splitter: "Q:" });
    expect(chat).toEqual(expected);
  });

  test("blank lines, lines and sentences", () => {
    expect(told("a b\n\nc d\n\ne", { splitter: "blank-line" })).toEqual([
      "shot: a b",
      "shot: c d",
      "question: e",
    ]);
    expect(told("a b\nc d\ne", { splitter: "line" })).toHaveLength(3);
    expect(told("One is. Two is! Why?", { splitter: "sentence" })).toEqual([
      "shot: One is.",
      "shot: Two is!",
      "question: Why?",
    ]);
  });

  test("explicit marks: tokens as they are, texts in order", () => {
    expect(
      told(SHOTS, {
        segments: [
          { kind: "shot", text: "Q: 2 + 3?", isForced: true },
          { kind: "question", text: "Q: 4 + 4?" },
        ],
      }),
    ).toEqual(["shot!: Q: 2 + 3?", "question: Q: 4 + 4?"]);
    const { tokenizer, chatTemplate } = chatParts(model);
    const conversation = new Conversation(tokenizer, chatTemplate);
    const marks = [{ kind: "shot", begin: 2, end: 5 }] as const;
    const input = { tokens: [5, 6, 7, 8, 9, 10] };
    const tokens = conversation.tokensOf(input, true);
    const found = promptSegments(input, tokens, tokenizer, conversation, { segments: marks });
    expect(found).toEqual(marks);
  });

  test("a text that is not there is refused by name", () => {
    expect(() => told(SHOTS, { segments: [{ kind: "shot", text: "Q: 9" }] })).toThrow(
      expect.objectContaining({ code: "bad-option" }),
    );
  });
});

describe("sessions", () => {
  test("a method sees segments over all turns; a protected system prompt stays", async () => {
    let segments: readonly Segment[] = [];
    let kept: number[][] = [];
    const watching = defineMethod({
      id: "watching",
      create: () => {
        const parts = compose({ scorer: recencyScorer(0), selector: tokenTopK });
        return {
          ...parts,
          onPrefillLayer: (context) => {
            ({ segments } = context.sequence);
            const mutations = parts.onPrefillLayer?.(context) ?? [];
            const [keep] = mutations;
            const rows = keep?.kind === "keep" ? keep.rows : [];
            kept = rows.map((list, h) =>
              Array.from(list, (row) => context.rows.positions[h]?.[row] ?? -1),
            );
            return mutations;
          },
        };
      },
    });
    const session = chatSession(model, {
      session: {
        ...{ method: watching, budget: { tokens: 30 }, turnPolicy: "each" },
        protect: ["system"],
      },
    });
    const options = { maxTokens: 3, ignoreEos: true };
    const system = { role: "system", content: "Be brief." } as const;
    await answer(session, [system, { role: "user", content: "One?" }], options);
    await answer(session, [{ role: "user", content: "Two? ".repeat(12) }], options);
    const kinds = segments.map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "system")).toHaveLength(1);
    expect(kinds.filter((kind) => kind === "question")).toHaveLength(1);
    segments.forEach(({ begin }, i) => expect(begin).toBe(segments[i - 1]?.end ?? 0));
    const forced = segments.find(({ isForced }) => isForced);
    expect(forced?.kind).toBe("system");
    for (const positions of kept) {
      expect(positions).toHaveLength(30);
      for (let p = forced?.begin ?? 0; p < (forced?.end ?? 0); p++) expect(positions).toContain(p);
    }
    session.dispose();
  });
});
