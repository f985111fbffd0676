// The forward pass, written once for every architecture and every engine. It computes; when to
// compress and what to sample is decided elsewhere (prefill.ts, decode.ts).
import { allocAll } from "../engine/alloc-all.ts";
import type {
  AttendShape,
  Engine,
  EngineBuffer,
  LayerRows,
  RopeFrequencies,
  RopeShape,
  SumsLayout,
  Weight,
} from "../engine/engine.ts";
import { assert } from "../errors.ts";
import type { LayerWeights, ModelWeights } from "../weights/load-weights.ts";
import type { ModelConfig } from "./config.ts";

const F32_BYTES = 4;

/** Where the column sums of a layer's attention go: as `out` and `layout` of `measureWindow`. */
export interface ColumnSums {
  readonly out: EngineBuffer;
  readonly layout: SumsLayout;
}

/** Buffers of one step over at most `maxTokens` tokens; made once, used by every layer. */
export interface Workspace {
  readonly maxTokens: number;
  /** f32[maxTokens, qkvStride]: q, k, v side by side; q and k rotated after `layer`. */
  readonly qkv: EngineBuffer;
  /** f32[maxTokens, nHeads headDim]. */
  readonly mixed: EngineBuffer;
  /** f32[maxTokens, ffnSize]. */
  readonly gated: EngineBuffer;
}

/** cos and sin of consecutive positions, for each set of frequencies that the model has. */
export interface RopeTables {
  readonly firstPosition: number;
  /** f32[nTokens, headDim] per entry of `Transformer.frequencies`. */
  readonly tables: readonly EngineBuffer[];
}

interface Layer {
  readonly weights: LayerWeights;
  readonly rope: RopeShape;
  readonly attend: AttendShape;
  /** Index into `frequencies`. */
  readonly frequencies: number;
}

export class Transformer {
  readonly engine: Engine;
  readonly config: ModelConfig;
  /** Columns of `Workspace.qkv`. */
  readonly qkvStride: number;
  /** Distinct ones over all layers (gemma 3 has two). */
  readonly frequencies: readonly RopeFrequencies[];
  readonly #weights: ModelWeights;
  readonly #layers: readonly Layer[];

  constructor(engine: Engine, config: ModelConfig, weights: ModelWeights) {
    const { nHeads, nKvHeads, headDim, ropeStyle } = config;
    this.engine = engine;
    this.config = config;
    this.qkvStride = (nHeads + 2 * nKvHeads) * headDim;
    this.#weights = weights;
    const frequencies = new Map<RopeFrequencies, number>();
    this.#layers = config.layers.map(({ rope, window }, l) => {
      const own = weights.layers[l];
      assert(own !== undefined, `layer ${l} has weights`);
      const index = frequencies.get(rope) ?? frequencies.size;
      frequencies.set(rope, index);
      const { qNorm, kNorm } = own;
      return {
        weights: own,
        rope: {
          nHeads,
          nKvHeads,
          headDim,
          ropeStyle,
          ...(qNorm === undefined ? {} : { qNorm }),
          ...(kNorm === undefined ? {} : { kNorm }),
        },
        attend: { nHeads, nKvHeads, headDim, scale: config.attentionScale, window },
        frequencies: index,
      };
    });
    this.frequencies = [...frequencies.keys()];
  }

  createWorkspace(maxTokens: number): Workspace {
    const { nHeads, headDim, ffnSize } = this.config;
    const rowBytes = F32_BYTES * maxTokens;
    const [qkv, mixed, gated] = allocAll(this.engine, [
      [rowBytes * this.qkvStride, "qkv"],
      [rowBytes * nHeads * headDim, "attention output"],
      [rowBytes * ffnSize, "gated"],
    ]) as [EngineBuffer, EngineBuffer, EngineBuffer];
    return { maxTokens, qkv, mixed, gated };
  }

  freeWorkspace({ qkv, mixed, gated }: Workspace): void {
    for (const buffer of [qkv, mixed, gated]) this.engine.free(buffer);
  }

  /** Room for the angles of `nTokens` positions; `fillTables` computes them. */
  createTables(nTokens: number): EngineBuffer[] {
    const byteLength = F32_BYTES * nTokens * this.config.headDim;
    const wanted = this.frequencies.map(() => [byteLength, "rope table"] as const);
    return allocAll(this.engine, wanted);
  }

  fillTables(tables: readonly EngineBuffer[], firstPosition: number, nTokens: number): void {
    for (let i = 0; i < tables.length; i++) {
      const [table, frequencies] = [tables[i], this.frequencies[i]];
      if (table !== undefined && frequencies !== undefined) {
        this.engine.ropeTable(table, frequencies, firstPosition, nTokens);
      }
    }
  }

  /** The one of `tables` that layer `l` rotates by. */
  tableOf(l: number, tables: readonly EngineBuffer[]): EngineBuffer {
    const table = tables[this.#layers[l]?.frequencies ?? -1];
    if (table === undefined) assert(false, `layer ${l} exists`);
    return table;
  }

  /** The output projection of layer `l`'s attention. */
  outputWeight(l: number): Weight {
    const layer = this.#layers[l];
    if (layer === undefined) assert(false, `layer ${l} exists`);
    return layer.weights.attentionOutput;
  }

  /** x f32[nTokens, hiddenSize] = embedding of `tokens` u32[nTokens]. */
  embed(x: EngineBuffer, tokens: EngineBuffer, nTokens: number): void {
    const { embeddingScale } = this.config;
    this.engine.embed(x, this.#weights.embedding, tokens, nTokens, embeddingScale);
  }

  /**
   * Layer `l` on x f32[nTokens, hiddenSize], in place; appends the tokens to `rows`.
   * @param sums Gets the column sums of this attention, on engines that have `attendAndSum`.
   */
  layer(
    workspace: Workspace,
    l: number,
    x: EngineBuffer,
    rows: LayerRows,
    tables: readonly EngineBuffer[],
    firstPosition: number,
    nTokens: number,
    sums?: ColumnSums,
    appended?: () => void,
  ): void {
    const layer = this.#layers[l];
    const table = layer && tables[layer.frequencies];
    if (layer === undefined || table === undefined) assert(false, `layer ${l} exists`);
    const { engine } = this;
    const { qkv, mixed, gated } = workspace;
    const w = layer.weights;
    engine.normProject(qkv, x, w.attentionNorm, w.qkv, nTokens);
    engine.ropeAppend(qkv, rows, table, layer.rope, firstPosition, nTokens);
    appended?.();
    const attended = [mixed, qkv, rows, layer.attend, firstPosition, nTokens] as const;
    if (sums === undefined || engine.attendAndSum === undefined) engine.attend(...attended);
    else engine.attendAndSum(...attended, sums.out, sums.layout);
    engine.projectAdd(x, mixed, w.attentionOutput, nTokens, w.postAttentionNorm);
    engine.normGateUp(gated, x, w.ffnNorm, w.gate, w.up, this.config.activation, nTokens);
    engine.projectAdd(x, gated, w.down, nTokens, w.postFfnNorm);
  }

  /** out f32[nTokens, vocabSize] of x f32[nTokens, hiddenSize] after the last layer. */
  logits(out: EngineBuffer, x: EngineBuffer, nTokens: number): void {
    const { outputNorm, output } = this.#weights;
    this.engine.logits(out, x, outputNorm, output, nTokens);
  }
}
