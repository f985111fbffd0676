// Operations that multiply by a weight, and argmax.
import type { Activation, EngineBuffer, Norm, Projection, Weight } from "../engine.ts";
import type { OpContext } from "./op-context.ts";
import { missing } from "./row-ops.ts";

export class ProjectOps {
  readonly #context: OpContext;

  constructor(context: OpContext) {
    this.#context = context;
  }

  /** As `Engine.embed`. */
  embed(_out: EngineBuffer, _weight: Weight, _tokens: EngineBuffer, _n: number, _s: number): void {
    missing("embed", this.#context);
  }

  /** As `Engine.normProject`. */
  normProject(
    _out: EngineBuffer,
    _x: EngineBuffer,
    _norm: Norm,
    _projections: readonly Projection[],
    _nTokens: number,
  ): void {
    missing("normProject", this.#context);
  }

  /** As `Engine.projectAdd`. */
  projectAdd(
    _x: EngineBuffer,
    _input: EngineBuffer,
    _weight: Weight,
    _nTokens: number,
    _postNorm?: Norm,
  ): void {
    missing("projectAdd", this.#context);
  }

  /** As `Engine.normGateUp`. */
  normGateUp(
    _out: EngineBuffer,
    _x: EngineBuffer,
    _norm: Norm,
    _gate: Weight,
    _up: Weight,
    _activation: Activation,
    _nTokens: number,
  ): void {
    missing("normGateUp", this.#context);
  }

  /** As `Engine.argmax`. */
  argmax(_out: EngineBuffer, _logits: EngineBuffer, _nTokens: number, _nCols: number): void {
    missing("argmax", this.#context);
  }
}
