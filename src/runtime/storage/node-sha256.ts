import { createHash } from "node:crypto";
import type { Sha256Stream } from "./storage.ts";

/** Several times as fast as ours. */
export function createSha256(): Sha256Stream {
  const hash = createHash("sha256");
  return { update: (bytes) => hash.update(bytes), hex: () => hash.digest("hex") };
}
