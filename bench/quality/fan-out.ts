// Many compressors at one prefill: each measures and decides as in a session of its own, and what it
// keeps is noted instead of applied, so that the cache stays full for the others.
import type { Compressor } from "../../src/compress.ts";
import type { OverflowCause } from "../../src/compress-plan.ts";
import type { Segment } from "../../src/compression/segments.ts";
import type { EngineBuffer } from "../../src/engine/engine.ts";
import type { LayerQueries } from "../../src/signals/measure.ts";
import type { CompressionReport } from "../../src/types.ts";

/** Rows to keep per kv head, by layer; no entry: all. */
export type Kept = Map<number, readonly Uint32Array[]>;

export class FanOut implements Compressor {
  readonly overlapsLayers = false;
  readonly asksRowsOnly = false;
  readonly needsAllLayers = false;
  /** In the order of the members. */
  readonly kept: readonly Kept[];
  readonly #members: readonly Compressor[];

  /** @throws Where a member decides only when all layers have run. */
  constructor(members: readonly Compressor[]) {
    if (members.some(({ needsAllLayers }) => needsAllLayers)) {
      throw new Error("Cannot compare methods that see all layers first");
    }
    this.#members = members;
    this.kept = members.map(() => new Map());
  }

  planPrefill(nTokens: number, marks?: readonly Segment[], cause?: OverflowCause): void {
    for (const member of this.#members) member.planPrefill(nTokens, marks, cause);
  }

  stages(): boolean {
    return false;
  }

  wantsQueries(l: number): number {
    return Math.max(0, ...this.#members.map((member) => member.wantsQueries(l)));
  }

  /** Members measure for themselves. */
  columnSums(): undefined {
    return undefined;
  }

  chunk(l: number, queries: LayerQueries): void {
    for (const member of this.#members) member.chunk(l, queries);
  }

  async compressLayer(
    l: number,
    queries: EngineBuffer,
    firstPosition: number,
    nQueries: number,
  ): Promise<null> {
    for (const [i, member] of this.#members.entries()) {
      const keep = await member.compressLayer(l, queries, firstPosition, nQueries);
      if (keep !== null) this.kept[i]?.set(l, keep);
    }
    return null;
  }

  finish(): void {
    for (const member of this.#members) member.finish();
  }

  release(): void {
    for (const member of this.#members) member.release();
  }

  beginStep(): null {
    return null;
  }

  async finishStep(): Promise<boolean> {
    return false;
  }

  overflow(): null {
    return null;
  }

  nReread(): null {
    return null;
  }

  report(): CompressionReport {
    return { reason: null, overflowRows: 0, keptMass: [], notes: [] };
  }

  dispose(): void {
    for (const member of this.#members) member.dispose();
  }
}
