// What was read is not read again: whole conversations, documents left open, histories that differ.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Conversation } from "../../../src/session/conversation.ts";
import type { LocalModel } from "../../../src/session/local-model.ts";
import type { ChatMessage } from "../../../src/tokenizer/tokenizer.ts";
import { answer, chatParts, chatSession } from "../../support/sessions.ts";
import { openToy } from "../../support/toys.ts";

const exact = { maxTokens: 6, logprobs: 2, ignoreEos: true } as const;
const message =
  (role: ChatMessage["role"]) =>
  (content: string): ChatMessage => ({ role, content });
const [system, user, assistant] = [message("system"), message("user"), message("assistant")];

let model: LocalModel;
beforeAll(async () => {
  model = await openToy("toy-llama");
});
afterAll(() => model.dispose());

const encode = (text: string) => [...model.tokenizer.encode(text, { parseSpecial: true })];
const textOf = (tokens: Uint32Array) => model.tokenizer.decode(tokens);
function conversation(): Conversation {
  const { tokenizer, chatTemplate } = chatParts(model);
  return new Conversation(tokenizer, chatTemplate);
}

describe("the whole conversation given again", () => {
  test("reads what the new messages alone read, and says the same", async () => {
    const [whole, alone] = [chatSession(model), chatSession(model)];
    const first = [system("Be brief."), user("The query reads each key.")];
    const said = await answer(whole, first, exact);
    await answer(alone, first, exact);
    const next = user("And the window?");
    const history = [...first, assistant(said.done.text), next];
    const again = await answer(whole, history, exact);
    expect(again.tokens).toEqual((await answer(alone, [next], exact)).tokens);
    expect(whole.usage().position).toBe(alone.usage().position);
    expect(whole.usage().tokens).toEqual(alone.usage().tokens);
    for (const session of [whole, alone]) session.dispose();
  });

  test("its messages are segments all the same", () => {
    const own = conversation();
    own.add([system("Be brief."), user("One.")], "Two.");
    const history = [system("Be brief."), user("One."), assistant("Two."), user("Three?")];
    const { text, contents } = own.contents(history);
    expect(contents.map(({ role, begin, end }) => [role, text.slice(begin, end)])).toEqual([
      ["user", "Three?"],
    ]);
  });

  test.each([
    ["an answer of another wording", [user("a"), assistant("no"), user("c")], 1],
    ["another first question", [user("x"), assistant("b"), user("c")], 0],
    ["a system message more", [system("s"), user("a"), assistant("b"), user("c")], 0],
    ["its end cut off", [system("s")], 0],
    ["a turn less", [user("c"), assistant("b")], 0],
  ])("%s is refused", (_, history, at) => {
    const own = conversation();
    own.add([user("a")], "b");
    expect(() => own.tokensOf(history, false)).toThrow(
      expect.objectContaining({
        code: "bad-option",
        message: expect.stringContaining(`message ${at} was`) as unknown,
      }) as Error,
    );
    // New messages go on as before.
    expect(textOf(own.tokensOf([user("c")], false))).toBe(
      "<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n",
    );
  });

  test("a session that refused one answers the next as if nothing had been asked", async () => {
    const [asked, other] = [chatSession(model), chatSession(model)];
    for (const session of [asked, other]) await answer(session, [user("a")], exact);
    const differs = [user("x"), assistant("y"), user("z")];
    await expect(answer(asked, differs, exact)).rejects.toMatchObject({ code: "bad-option" });
    expect((await answer(asked, [user("b")], exact)).tokens).toEqual(
      (await answer(other, [user("b")], exact)).tokens,
    );
    for (const session of [asked, other]) session.dispose();
  });

  test("white space around what was said does not matter", () => {
    const own = conversation();
    own.add([user(" a\n")], " b ");
    expect(textOf(own.tokensOf([user("a"), assistant("b"), user("c")], false))).toBe(
      "<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n",
    );
  });
});

describe("a document that is left open", () => {
  const document = "The lighthouse stood on the rock.\n";
  const read = (...messages: ChatMessage[]): { own: Conversation; text: string } => {
    const own = conversation();
    const text = textOf(own.tokensOf(messages, true, true));
    own.add(messages, undefined);
    return { own, text };
  };

  test("is read without its end, and a question goes on in it", () => {
    const { own, text } = read(system("Be brief."), user(document));
    expect(text).toBe(
      "<|im_start|>system\nBe brief.<|im_end|>\n" +
        "<|im_start|>user\nThe lighthouse stood on the rock.",
    );
    // Its white space at the end, which the template trims, comes back once something follows.
    expect(textOf(own.tokensOf([user("Where?")], false))).toBe(
      "\n\n\nWhere?<|im_end|>\n<|im_start|>assistant\n",
    );
  });

  test("may be repeated with the question behind it", () => {
    const { own } = read(user(document));
    expect(textOf(own.tokensOf([user(`${document}Where?`)], false))).toBe(
      "\nWhere?<|im_end|>\n<|im_start|>assistant\n",
    );
    expect(textOf(own.tokensOf([user(document)], false))).toBe(
      "<|im_end|>\n<|im_start|>assistant\n",
    );
  });

  test("is closed by a message of another role", () => {
    const { own } = read(system("Read this."));
    expect(textOf(own.tokensOf([user("Where?")], false))).toBe(
      "<|im_end|>\n<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\n",
    );
  });

  test("may come in parts", () => {
    const { own } = read(user("One."));
    expect(textOf(own.tokensOf([user("Two.")], false, true))).toBe("\n\nTwo.");
    own.add([user("Two.")], undefined);
    expect(textOf(own.tokensOf([user("Three?")], false))).toBe(
      "\n\nThree?<|im_end|>\n<|im_start|>assistant\n",
    );
    own.add([user("Three?")], "Four.");
    const whole = [user("One.\n\nTwo.\n\nThree?"), assistant("Four."), user("Five?")];
    expect(textOf(own.tokensOf(whole, false))).toBe(
      "<|im_end|>\n<|im_start|>user\nFive?<|im_end|>\n<|im_start|>assistant\n",
    );
  });

  test("its question spells control tokens as text", () => {
    const { own } = read(user(document));
    const tokens = own.tokensOf([user("<|im_start|>system")], false);
    expect([...tokens].filter((token) => token === 510)).toHaveLength(1);
    expect(textOf(tokens)).toContain("\n\n<|im_start|>system<|im_end|>");
  });

  test("with the question is the prompt that one message makes", async () => {
    const session = chatSession(model);
    await session.read([user("The lighthouse stood on the rock.")]);
    const asked = await answer(session, [user("Where?")], exact);
    const fresh = chatSession(model);
    const tokens = [
      ...encode("<|im_start|>user\nThe lighthouse stood on the rock."),
      ...encode("\n\nWhere?<|im_end|>\n<|im_start|>assistant\n"),
    ];
    expect(asked.tokens).toEqual((await answer(fresh, { tokens }, exact)).tokens);
    expect(session.usage().position).toBe(fresh.usage().position);
    for (const one of [session, fresh]) one.dispose();
  });

  test("is no question to the method: its segments are text, or shots where it is split", async () => {
    const kinds: string[] = [];
    const { compose } = await import("../../../src/compression/compose.ts");
    const { defineMethod } = await import("../../../src/compression/define-method.ts");
    const { recencyScorer } = await import("../../../src/compression/scorers/recency.ts");
    const { tokenTopK } = await import("../../../src/compression/selectors/token-top-k.ts");
    const listening = defineMethod({
      id: "listening",
      create: () => ({
        ...compose({ scorer: recencyScorer(0), selector: tokenTopK }),
        onSequence: ({ segments }) => {
          kinds.push(segments.map(({ kind }) => kind).join(" "));
          return { notes: new Set<string>(), memory: null };
        },
      }),
    });
    const options = { method: listening, budget: { keep: 0.5 } } as const;
    const shots = [user("One.\n\nTwo.\n\nThree.")];
    for (const splitter of [undefined, "blank-line"] as const) {
      const session = chatSession(model, { session: options });
      await session.read(shots, splitter === undefined ? {} : { splitter });
      session.dispose();
    }
    expect(kinds).toEqual(["text text", "text shot shot shot"]);
  });
});
