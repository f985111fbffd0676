import { describe, expect, test } from "vitest";
import { KvasirError } from "../../../src/errors.ts";
import { createChatTemplate } from "../../../src/tokenizer/chat-template.ts";
import type { ChatMessage, ChatTemplate } from "../../../src/tokenizer/tokenizer.ts";
import { readJson } from "../../support/golden.ts";

interface Templates {
  readonly template: string;
  readonly bos_token: string;
  readonly eos_token: string;
  readonly conversations: readonly {
    readonly name: string;
    readonly messages: ChatMessage[];
    readonly rendered: string;
    readonly rendered_generation_prompt: string;
    readonly rendered_continue_final_message?: string;
  }[];
}

const golden = readJson<Templates>("templates.json");
const tokenizer = {
  bosToken: 1,
  eosToken: 2,
  piece: (token: number) => (token === 1 ? golden.bos_token : golden.eos_token),
};

function create(source: string): ChatTemplate {
  const template = createChatTemplate(new Map([["tokenizer.chat_template", source]]), tokenizer);
  if (template === null) throw new Error("no template");
  return template;
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof KvasirError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "nothing was thrown";
}

const user = (content: string): ChatMessage => ({ role: "user", content });

describe("SmolLM2's template: equal to jinja2 and transformers", () => {
  const template = create(golden.template);
  test("all conversations are there", () => {
    expect(golden.conversations.length).toBe(14);
    expect(
      golden.conversations.filter((c) => c.rendered_continue_final_message).length,
    ).toBeGreaterThan(0);
  });

  test.each(golden.conversations)("$name", (conversation) => {
    const { messages, rendered, rendered_continue_final_message: continued } = conversation;
    expect(template.render(messages, { addGenerationPrompt: false })).toBe(rendered);
    expect(template.render(messages)).toBe(conversation.rendered_generation_prompt);
    if (continued !== undefined) {
      expect(template.render(messages, { continueFinalMessage: true })).toBe(continued);
    }
  });
});

describe("createChatTemplate", () => {
  test("null where the file has no template", () => {
    expect(createChatTemplate(new Map(), tokenizer)).toBeNull();
  });

  test("gives bos_token and eos_token, tools as none", () => {
    const source = "{{ bos_token }}{% if tools is none %}-{% endif %}{{ eos_token }}";
    expect(create(source).render([user("")])).toBe(`${golden.bos_token}-${golden.eos_token}`);
  });

  test("trims blocks: no blank lines or indents from statements", () => {
    const source =
      "{% for m in messages %}\n  {% if true %}\n{{ m.content }}\n  {% endif %}\n{% endfor %}\n";
    expect(create(source).render([user("a"), user("b")])).toBe("a\nb\n");
  });

  test("continueFinalMessage cuts trimmed messages at their trimmed end", () => {
    const trimming = create("{% for m in messages %}[{{ m.content | trim }}]{% endfor %}");
    expect(trimming.render([user("a "), user(" b  ")], { continueFinalMessage: true })).toBe(
      "[a][b",
    );
    const keeping = create("{% for m in messages %}[{{ m.content }}]{% endfor %}");
    expect(keeping.render([user("b  ")], { continueFinalMessage: true })).toBe("[b  ");
  });

  test("continueFinalMessage refuses what it cannot do", () => {
    const template = create("{{ messages[0].content }}");
    const open = { continueFinalMessage: true };
    expect(codeOf(() => template.render([], open))).toMatch(/^bad-option: .*got 0 messages/);
    expect(codeOf(() => template.render([user("a"), user("b")], open))).toMatch(/leaves it out/);
    expect(
      codeOf(() => template.render([user("a")], { ...open, addGenerationPrompt: true })),
    ).toMatch(/excludes addGenerationPrompt/);
  });

  test("raise_exception becomes bad-option with the template's complaint", () => {
    const template = create("{{ raise_exception('Roles must alternate') }}");
    expect(codeOf(() => template.render([user("a")]))).toBe(
      "bad-option: Cannot render chat template: Roles must alternate",
    );
  });

  test("an unknown filter becomes bad-option, broken syntax unsupported-model", () => {
    expect(codeOf(() => create("{{ 'a' | nope }}").render([]))).toMatch(/^bad-option: .*nope/);
    expect(codeOf(() => create("{% if %}"))).toMatch(
      /^unsupported-model: Cannot parse chat template/,
    );
  });
});
