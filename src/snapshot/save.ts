// A session to a file, and what a file must hold to become one again. The bytes: file.ts.
import type { Conversation, SavedConversation } from "../session/conversation.ts";
import type { LastingSequence } from "../session/lasting-sequence.ts";
import type { SavedSequence } from "../sequence.ts";
import type { SessionParts } from "../session.ts";
import type { ResolvedSession } from "../session/session-options.ts";
import { writeSnapshot } from "./file.ts";

/** What is in the file. */
export interface SavedSession {
  readonly model: { readonly hash: string; readonly tokenizer: string; readonly name: string };
  readonly method: {
    readonly id: string;
    readonly version: number;
    readonly parameters: Readonly<Record<string, unknown>>;
  };
  /** As in `SessionOptions`, defaults filled in. */
  readonly options: Omit<ResolvedSession, "method">;
  readonly sequence: SavedSequence;
  readonly conversation: SavedConversation;
}

export interface SaveRequest {
  readonly parts: SessionParts;
  readonly options: ResolvedSession;
  readonly sequence: LastingSequence;
  readonly conversation: Conversation;
}

/** @throws {KvasirError} `unsupported-option` for a method whose state is not plain data. */
export async function saveSnapshot(request: SaveRequest): Promise<Blob> {
  const { parts, sequence, conversation } = request;
  const { tokenizer, modelHash, transformer } = parts;
  const { id, version, parameters } = sequence.current.method;
  const { method: _, ...options } = request.options;
  const saved: SavedSession = {
    model: { hash: modelHash, tokenizer: tokenizer.hash, name: transformer.config.name },
    method: { id, version, parameters },
    options,
    sequence: await sequence.save(),
    conversation: conversation.save(),
  };
  return writeSnapshot(saved);
}
