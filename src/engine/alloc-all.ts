import type { Engine, EngineBuffer } from "./engine.ts";

/**
 * Buffers of these sizes, or none: when one cannot be had, those before it are freed.
 * @throws {KvasirError} `out-of-memory`.
 */
export function allocAll(
  engine: Pick<Engine, "alloc" | "free">,
  wanted: readonly (readonly [byteLength: number, label: string])[],
): EngineBuffer[] {
  const made: EngineBuffer[] = [];
  try {
    for (const [byteLength, label] of wanted) made.push(engine.alloc(byteLength, label));
  } catch (error) {
    for (const buffer of made) engine.free(buffer);
    throw error;
  }
  return made;
}
