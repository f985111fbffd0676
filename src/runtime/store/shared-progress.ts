// Tells tabs that wait for a download how far it got.
import type { OpenProgress } from "../runtime.ts";
import type { StorageDriver } from "../storage/storage.ts";

type OnProgress = ((progress: OpenProgress) => void) | undefined;

interface Shared {
  readonly bytes: number;
  readonly totalBytes: number | undefined;
}

/** Only where tabs share the storage; elsewhere nobody listens. */
function channelOf(driver: StorageDriver, id: string): BroadcastChannel | null {
  if (driver.name !== "opfs" || typeof BroadcastChannel === "undefined") return null;
  return new BroadcastChannel(`kvasir-store-${id}`);
}

/** @returns Ends the listening; may be called again. */
export function listenToProgress(
  driver: StorageDriver,
  id: string,
  onProgress: OnProgress,
): () => void {
  const channel = onProgress === undefined ? null : channelOf(driver, id);
  if (channel === null) return () => undefined;
  channel.onmessage = ({ data }: MessageEvent<Shared>) => {
    onProgress?.({ phase: "wait", bytes: data.bytes, totalBytes: data.totalBytes });
  };
  return () => channel.close();
}

export function shareProgress(
  driver: StorageDriver,
  id: string,
): { post(progress: Shared): void; close(): void } {
  const channel = channelOf(driver, id);
  return {
    post: ({ bytes, totalBytes }) => channel?.postMessage({ bytes, totalBytes }),
    close: () => channel?.close(),
  };
}
