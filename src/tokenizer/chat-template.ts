import { Template } from "@huggingface/jinja";
import { KvasirError } from "../errors.ts";
import type { ChatMessage, ChatTemplate, Tokenizer } from "./tokenizer.ts";
import type { Metadata } from "./vocabulary.ts";

// Marks where the last message ends, so that what the template puts after it can be cut off. The
// space at the end tells whether the template trims messages. Same means as in transformers.
const OPEN_END = "\u{E000}OPEN-END\u{E000} ";

/**
 * The chat template of the model's own file, rendered as transformers does (trim_blocks and
 * lstrip_blocks; `tools` and `documents` are none).
 *
 * @returns null where the file has no template.
 * @throws {KvasirError} `unsupported-model` for a template that can't be parsed.
 */
export function createChatTemplate(
  metadata: Metadata,
  tokenizer: Pick<Tokenizer, "bosToken" | "eosToken" | "piece">,
): ChatTemplate | null {
  const source = metadata.get("tokenizer.chat_template");
  if (typeof source !== "string") return null;
  const template = parseTemplate(source);
  const textOf = (token: number | undefined): string =>
    token === undefined ? "" : tokenizer.piece(token);
  const names = {
    bos_token: textOf(tokenizer.bosToken),
    eos_token: textOf(tokenizer.eosToken),
    tools: null,
    documents: null,
  };

  const render = (messages: readonly ChatMessage[], addGenerationPrompt: boolean): string => {
    try {
      const plain = messages.map(({ role, content }) => ({ role, content }));
      return template.render({
        ...names,
        messages: plain,
        add_generation_prompt: addGenerationPrompt,
      });
    } catch (cause) {
      throw new KvasirError("bad-option", `Cannot render chat template: ${complaint(cause)}`, {
        cause,
      });
    }
  };

  return {
    render(messages, { continueFinalMessage = false, addGenerationPrompt } = {}) {
      if (!continueFinalMessage) return render(messages, addGenerationPrompt ?? true);
      if (addGenerationPrompt === true) {
        throw new KvasirError(
          "bad-option",
          "Cannot render chat template: continueFinalMessage excludes addGenerationPrompt",
        );
      }
      return cutOpenEnd(render(withOpenEnd(messages), false));
    },
  };
}

function parseTemplate(source: string): Template {
  try {
    return new Template(source);
  } catch (cause) {
    throw new KvasirError("unsupported-model", `Cannot parse chat template: ${complaint(cause)}`, {
      cause,
    });
  }
}

function withOpenEnd(messages: readonly ChatMessage[]): ChatMessage[] {
  const last = messages.at(-1);
  if (last === undefined) {
    throw new KvasirError(
      "bad-option",
      "Cannot continue the final message: messages must not be empty, got 0 messages",
    );
  }
  return [...messages.slice(0, -1), { ...last, content: last.content + OPEN_END }];
}

function cutOpenEnd(rendered: string): string {
  const end = rendered.lastIndexOf(OPEN_END.trimEnd());
  if (end === -1) {
    throw new KvasirError(
      "bad-option",
      "Cannot continue the final message: the chat template leaves it out",
    );
  }
  const text = rendered.slice(0, end);
  return rendered.startsWith(OPEN_END, end) ? text : text.trimEnd();
}

function complaint(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
