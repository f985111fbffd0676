// A record of long chats -> the table of docs/long-chat.md.
import type { BenchRecord } from "../record.ts";
import { note, stoppedList } from "../report.ts";
import { formatMegabytes, formatNumber, renderTable } from "../table.ts";
import { BANDS, type Chat, chatOf, FLAT_FROM, LONG_CHAT, N_TURNS } from "./bands.ts";
import { perplexity, perplexityOver } from "./bands.ts";

/** The page's part, from the newest record that has it. */
export function longChatParts(newestFirst: readonly BenchRecord[]): Record<string, string> {
  const record = newestFirst.find(({ what }) => what === LONG_CHAT);
  return record === undefined ? {} : { [LONG_CHAT]: longChatReport(record) };
}

export function longChatReport(record: BenchRecord): string {
  const chats = record.lanes.flatMap((lane) => chatOf(lane) ?? []);
  const fresh = chats.find(({ isBaseline }) => isBaseline);
  const table = renderTable(
    [
      { title: "chat" },
      ...BANDS.map(([from, to]) => ({ title: `perplexity, turns ${from}-${to}`, isNumber: true })),
      { title: "tokens seen", isNumber: true },
      { title: `cache after turn ${FLAT_FROM}, MB`, isNumber: true },
      { title: `after turn ${N_TURNS}, MB`, isNumber: true },
      { title: "at its peak, MB", isNumber: true },
      { title: "full cache, MB", isNumber: true },
      { title: "compressions after" },
    ],
    chats.map((chat) => chatRow(chat, fresh ?? chat)),
  );
  const text = `Text: ${record.settings.text}. In brackets: over fresh contexts, same passages.`;
  return [`${note(record)} ${text}`, table, stoppedList(record)]
    .filter((part) => part !== "")
    .join("\n\n");
}

function chatRow(chat: Chat, fresh: Chat): string[] {
  const { name, isBaseline, turns } = chat;
  const last = turns.at(-1);
  const after = turns.find(({ turn }) => turn === FLAT_FROM);
  const bytes = [after?.bytes, last?.bytes, last?.peakBytes, last?.fullBytes];
  return [
    name,
    ...BANDS.map((band) => {
      const over = perplexityOver(chat, fresh, band);
      return `${formatNumber(perplexity(turns, band))} (${over.toFixed(2)})`;
    }),
    isBaseline ? "-" : (last?.position ?? 0).toLocaleString("en-US"),
    ...bytes.map((value) => formatMegabytes(value ?? NaN)),
    compressions(turns.flatMap(({ events }) => events)),
  ];
}

function compressions(events: readonly string[]): string {
  const names = [...new Set(events)];
  if (names.length === 0) return "-";
  const count = (name: string): number => events.filter((one) => one === name).length;
  return names.map((name) => `${count(name)} ${name}`).join(", ");
}
