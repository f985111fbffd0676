// One token: forward through all layers, its rows into the cache, logits out. Everything is
// allocated once; a step allocates nothing.
import type { KvCache } from "./cache/kv-cache.ts";
import type { StepProbe } from "./compressor.ts";
import { allocAll } from "./engine/alloc-all.ts";
import type { EngineBuffer, LayerRows } from "./engine/engine.ts";
import { assert } from "./errors.ts";
import type { Transformer, Workspace } from "./model/transformer.ts";
import { type Drawn, type DrawRule, MAX_CANDIDATES } from "./sampler/draw-rule.ts";

const F32_BYTES = 4;
/** As in `Engine.draw`: what comes before the candidates. */
const DRAWN_WORDS = 5;

export class Decoder {
  readonly #transformer: Transformer;
  readonly #cache: KvCache;
  readonly #workspace: Workspace;
  readonly #x: EngineBuffer;
  readonly #token: EngineBuffer;
  readonly #best: EngineBuffer;
  readonly #tables: EngineBuffer[];
  readonly #tokenWord = new Uint32Array(1);
  readonly #tokenBytes = new Uint8Array(this.#tokenWord.buffer);
  readonly #rows: readonly LayerRows[];
  #drawn: EngineBuffer | undefined;
  /** Those of the newest steps, in a ring. */
  readonly #logits: EngineBuffer[] = [];
  #nKept = 1;
  #slot = 0;

  constructor(transformer: Transformer, cache: KvCache) {
    const { engine, config } = transformer;
    this.#transformer = transformer;
    this.#cache = cache;
    this.#rows = config.layers.map((_, l) => cache.layer(l));
    const [x, token, best, ...tables] = allocAll(engine, [
      [F32_BYTES * config.hiddenSize, "hidden state"],
      [F32_BYTES, "token"],
      [F32_BYTES, "best token"],
      ...transformer.frequencies.map(({ headDim }) => [F32_BYTES * headDim, "rope table"] as const),
    ]) as [EngineBuffer, EngineBuffer, EngineBuffer, ...EngineBuffer[]];
    [this.#x, this.#token, this.#best, this.#tables] = [x, token, best, tables];
    try {
      this.#workspace = transformer.createWorkspace(1);
    } catch (error) {
      for (const buffer of [x, token, best, ...tables]) engine.free(buffer);
      throw error;
    }
  }

  /** Whether a step appends to buffers as they are. */
  get hasRoom(): boolean {
    for (const { length, capacity, nKvHeads } of this.#rows) {
      for (let head = 0; head < nKvHeads; head++) {
        if ((length[head] ?? 0) >= (capacity[head] ?? 0)) return false;
      }
    }
    return true;
  }

  /**
   * Reads `token` at the next position; its logits replace those before.
   * @param probe Called after each layer, while the layer's queries are at hand.
   * @throws {KvasirError} `out-of-memory`; the cache is then as before.
   */
  step(token: number, probe: StepProbe | null = null): void {
    this.#tokenWord[0] = token;
    this.#transformer.engine.write(this.#token, 0, this.#tokenBytes);
    this.#step(this.#token, probe);
  }

  /** As `step` with the token of the last `best`, which nobody need have read yet. */
  stepBest(): void {
    this.#step(this.#best, null);
  }

  /** As `step` with the token of the last `draw`, which nobody need have read yet. */
  stepDrawn(): void {
    this.#step(this.#drawnBuffer(), null);
  }

  /** From now on `logits` can tell those of the newest `n` steps. */
  keepLogits(n: number): void {
    this.#nKept = Math.max(this.#nKept, n);
  }

  /** Takes the logits of the last of `nTokens` hidden states that prefill made. */
  takeLast(hidden: EngineBuffer, nTokens: number): void {
    const { engine, config } = this.#transformer;
    const rowBytes = F32_BYTES * config.hiddenSize;
    engine.copy(this.#x, 0, hidden, (nTokens - 1) * rowBytes, rowBytes);
    this.#transformer.logits(this.#logitsBuffer(), this.#x, 1);
  }

  /** Index of the largest logit, the first on ties. */
  async best(): Promise<number> {
    const { engine, config } = this.#transformer;
    engine.argmax(this.#best, this.#logitsBuffer(), 1, config.vocabSize);
    const bytes = await engine.read(this.#best, 0, F32_BYTES);
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  }

  /** A token drawn by the logits where they are: see `Engine.draw`, which must be there. */
  async draw(rule: DrawRule, fraction: number): Promise<Drawn> {
    const { engine, config } = this.#transformer;
    const { nCandidates } = rule;
    const drawn = this.#drawnBuffer();
    assert(engine.draw !== undefined, "the engine draws");
    engine.draw(drawn, this.#logitsBuffer(), config.vocabSize, rule, fraction);
    const bytes = await engine.read(drawn, 0, F32_BYTES * (DRAWN_WORDS + 2 * nCandidates));
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / F32_BYTES);
    const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
    const [token = 0] = words;
    const [, highest = 0, total = 0, before = 0, own = 0] = floats;
    const tokens = words.subarray(DRAWN_WORDS, DRAWN_WORDS + nCandidates);
    const logits = floats.subarray(DRAWN_WORDS + nCandidates);
    return { token, highest, total, before, own, candidates: { tokens, logits } };
  }

  /**
   * f32[vocabSize], a copy.
   * @param nBack Steps ago; less than `keepLogits` was told.
   */
  async logits(nBack = 0): Promise<Float32Array> {
    const { engine, config } = this.#transformer;
    const slot = (this.#slot - nBack + this.#nKept) % this.#nKept;
    const bytes = await engine.read(this.#logitsBuffer(slot), 0, F32_BYTES * config.vocabSize);
    return new Float32Array(bytes.buffer, bytes.byteOffset, config.vocabSize);
  }

  dispose(): void {
    const { engine } = this.#transformer;
    this.#transformer.freeWorkspace(this.#workspace);
    const own = [this.#x, this.#token, this.#best, ...this.#tables, ...this.#logits];
    // Slots of the ring that no step has come to yet are holes.
    for (const buffer of [...own, this.#drawn]) if (buffer !== undefined) engine.free(buffer);
  }

  #step(token: EngineBuffer, probe: StepProbe | null): void {
    const slot = (this.#slot + 1) % this.#nKept;
    const logits = this.#logitsBuffer(slot);
    const { seen } = this.#cache;
    try {
      this.#read(token, probe);
      this.#transformer.logits(logits, this.#x, 1);
    } catch (error) {
      this.#cache.truncate(seen);
      throw error;
    }
    this.#slot = slot;
    this.#cache.advance(1);
  }

  #read(token: EngineBuffer, probe: StepProbe | null): void {
    const { config } = this.#transformer;
    const position = this.#cache.seen;
    if (!this.hasRoom) this.#cache.reserve(1);
    this.#transformer.embed(this.#x, token, 1);
    this.#transformer.fillTables(this.#tables, position, 1);
    for (let l = 0; l < config.nLayers; l++) {
      const rows = this.#rows[l];
      if (rows === undefined) break;
      this.#transformer.layer(this.#workspace, l, this.#x, rows, this.#tables, position, 1);
      if (probe === null) continue;
      const table = this.#transformer.tableOf(l, this.#tables);
      const { qkv } = this.#workspace;
      probe.layer(l, { qkv, table, firstPosition: position, nTokens: 1 });
    }
  }

  #logitsBuffer(slot = this.#slot): EngineBuffer {
    const { engine, config } = this.#transformer;
    return (this.#logits[slot] ??= engine.alloc(F32_BYTES * config.vocabSize, "logits"));
  }

  #drawnBuffer(): EngineBuffer {
    const nWords = DRAWN_WORDS + 2 * MAX_CANDIDATES;
    return (this.#drawn ??= this.#transformer.engine.alloc(F32_BYTES * nWords, "drawn token"));
  }
}
