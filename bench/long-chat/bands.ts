// What a long chat must show, and its numbers by parts of the chat.
import { check } from "../cases/case.ts";
import type { LaneRecord } from "../runner.ts";
import type { Turn } from "./chat.ts";

export const LONG_CHAT = "long-chat";
export const N_TURNS = 50;
/** Rows per head that may stay after a prompt. */
export const BUDGET = 600;

export interface Chat {
  readonly name: string;
  readonly isBaseline: boolean;
  readonly turns: readonly Turn[];
}

type Band = readonly [number, number];

/** Turns from 1, both ends included. */
export const BANDS = [
  [1, 10],
  [11, 30],
  [31, N_TURNS],
] as const;

/** From this turn on the cache's bytes are flat: the most of any over the least. */
export const FLAT_FROM = 10;
export const MAX_FLATNESS = 1.02;
/** A compressed chat's perplexity over that of the same passages without any context. */
export const MAX_OVER_FRESH = 1.1;

/** Of all tokens of the passages together. */
export function perplexity(turns: readonly Turn[], [from, to]: Band): number {
  const band = turns.filter(({ turn }) => turn >= from && turn <= to);
  const nats = band.reduce((sum, turn) => sum + turn.nats, 0);
  return Math.exp(nats / band.reduce((sum, turn) => sum + turn.nTokens, 0));
}

/** A chat's perplexity over another's in the turns that both have. */
export function perplexityOver(chat: Chat, other: Chat, band: Band): number {
  const own = new Set(chat.turns.map(({ turn }) => turn));
  const same = other.turns.filter(({ turn }) => own.has(turn));
  return perplexity(chat.turns, band) / perplexity(same, band);
}

export function flatness(turns: readonly Turn[], of: "bytes" | "peakBytes"): number {
  const late = turns.filter(({ turn }) => turn >= FLAT_FROM).map((turn) => turn[of]);
  return Math.max(...late) / Math.min(...late);
}

/** @throws {CheckError} Where a compressed chat grows or stops short of the model's context. */
export function checkMemory({ name, turns }: Chat, contextLength: number): void {
  const { position = 0 } = turns.at(-1) ?? {};
  check(position > contextLength, `Cannot trust ${name}: it ends at ${position} tokens`);
  for (const of of ["bytes", "peakBytes"] as const) {
    const ratio = flatness(turns, of);
    check(ratio <= MAX_FLATNESS, `Cannot call ${name} flat: ${of} grow ${ratio} times`);
  }
}

/** Lanes of compressed chats that lose the thread are wrong; their numbers stay in the record. */
export function checkCoherence(lanes: readonly LaneRecord[]): LaneRecord[] {
  const fresh = lanes.map(chatOf).find((chat) => chat?.isBaseline);
  return lanes.map((lane) => {
    const chat = chatOf(lane);
    if (lane.stopped !== null || chat === null || chat.isBaseline) return lane;
    const reason = fresh ? incoherence(chat, fresh) : "there is no fresh context to compare with";
    return reason === null ? lane : { ...lane, stopped: { kind: "wrong", reason } };
  });
}

/** null: it is coherent. */
export function incoherence(chat: Chat, fresh: Chat): string | null {
  for (const band of BANDS) {
    const ratio = perplexityOver(chat, fresh, band);
    if (ratio <= MAX_OVER_FRESH) continue; // not a number does not
    return `perplexity is ${ratio} times that of fresh contexts in turns ${band.join(" to ")}`;
  }
  return null;
}

export function chatOf({ case: name, output }: LaneRecord): Chat | null {
  return name === LONG_CHAT && output !== null ? (output as unknown as Chat) : null;
}
