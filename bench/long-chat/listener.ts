// How probable a model finds given tokens while a session of its own reads them: the hidden states
// after the last layer are copied as they pass, and the session does not notice.
import type { EngineBuffer } from "../../src/engine/engine.ts";
import type { LocalModel } from "../../src/session/local-model.ts";
import { logProbability } from "../../src/parity/metrics.ts";
import { check } from "../cases/case.ts";

const F32_BYTES = 4;
/** Positions whose logits are made at once. */
const LOGITS_AT_ONCE = 8;

export class Listener {
  readonly #model: LocalModel;
  #hidden: EngineBuffer | null = null;
  #begin = 0;
  #nWanted = 0;
  #nHeard = 0;

  /** Until `dispose` every session of `model` is heard: one at a time. */
  constructor(model: LocalModel) {
    this.#model = model;
    const { transformer } = model.parts;
    const layer = transformer.layer.bind(transformer);
    const last = model.config.nLayers - 1;
    transformer.layer = (workspace, l, x, rows, tables, firstPosition, nTokens) => {
      layer(workspace, l, x, rows, tables, firstPosition, nTokens);
      if (l === last) this.#hear(x, firstPosition, nTokens);
    };
  }

  /** From now on, `nTokens` tokens are listened for, the first of them at `position` (1 or later). */
  listen(position: number, nTokens: number): void {
    this.#release();
    // A token is foretold by the one before it.
    this.#begin = position - 1;
    this.#nWanted = nTokens;
    this.#nHeard = 0;
    const { engine } = this.#model.parts.transformer;
    this.#hidden = engine.alloc(this.#rowBytes * nTokens, "heard states");
  }

  /** Negative log-probability of all of `tokens`, those listened for, nats. */
  async nats(tokens: Uint32Array): Promise<number> {
    const { engine } = this.#model.parts.transformer;
    const { vocabSize } = this.#model.config;
    const hidden = this.#hidden;
    const isAll = hidden !== null && this.#nHeard === tokens.length;
    check(isAll, `Cannot trust a passage: ${this.#nHeard} of ${tokens.length} tokens were heard`);
    const logitBytes = F32_BYTES * vocabSize;
    const out = engine.alloc(LOGITS_AT_ONCE * logitBytes, "logits");
    let sum = 0;
    try {
      for (let first = 0; first < tokens.length; first += LOGITS_AT_ONCE) {
        const n = Math.min(LOGITS_AT_ONCE, tokens.length - first);
        const part = engine.slice(hidden, first * this.#rowBytes, n * this.#rowBytes);
        this.#model.parts.transformer.logits(out, part, n);
        const bytes = await engine.read(out, 0, n * logitBytes);
        for (let i = 0; i < n; i++) {
          const at = bytes.byteOffset + i * logitBytes;
          const logits = new Float32Array(bytes.buffer, at, vocabSize);
          sum -= logProbability(logits, tokens[first + i] ?? 0);
        }
      }
    } finally {
      engine.free(out);
      this.#release();
    }
    return sum;
  }

  dispose(): void {
    this.#release();
    // The class's own method is there again.
    Reflect.deleteProperty(this.#model.parts.transformer, "layer");
  }

  get #rowBytes(): number {
    return F32_BYTES * this.#model.config.hiddenSize;
  }

  /** Only what comes next: tokens that are read again are heard the first time. */
  #hear(x: EngineBuffer, firstPosition: number, nTokens: number): void {
    if (this.#hidden === null) return;
    const from = Math.max(firstPosition, this.#begin);
    const end = Math.min(firstPosition + nTokens, this.#begin + this.#nWanted);
    if (from !== this.#begin + this.#nHeard || from >= end) return;
    const size = this.#rowBytes;
    const source = (from - firstPosition) * size;
    const { engine } = this.#model.parts.transformer;
    engine.copy(this.#hidden, this.#nHeard * size, x, source, (end - from) * size);
    this.#nHeard += end - from;
  }

  #release(): void {
    if (this.#hidden !== null) this.#model.parts.transformer.engine.free(this.#hidden);
    this.#hidden = null;
  }
}
