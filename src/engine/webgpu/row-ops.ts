// Operations over cache rows.
import { KvasirError } from "../../errors.ts";
import type {
  AttendShape,
  EngineBuffer,
  LayerRows,
  RopeFrequencies,
  RopeShape,
} from "../engine.ts";
import type { OpContext } from "./op-context.ts";

export class RowOps {
  readonly #context: OpContext;

  constructor(context: OpContext) {
    this.#context = context;
  }

  /** As `Engine.ropeTable`. */
  ropeTable(_out: EngineBuffer, _frequencies: RopeFrequencies, _first: number, _n: number): void {
    missing("ropeTable", this.#context);
  }

  /** As `Engine.ropeAppend`. */
  ropeAppend(
    _qkv: EngineBuffer,
    _rows: LayerRows,
    _table: EngineBuffer,
    _shape: RopeShape,
    _firstPosition: number,
    _nTokens: number,
  ): void {
    missing("ropeAppend", this.#context);
  }

  /** As `Engine.attend`. */
  attend(
    _out: EngineBuffer,
    _qkv: EngineBuffer,
    _rows: LayerRows,
    _shape: AttendShape,
    _firstPosition: number,
    _nTokens: number,
  ): void {
    missing("attend", this.#context);
  }

  /** As `Engine.gatherRows`. */
  gatherRows(_dst: LayerRows, _src: LayerRows, _keep: readonly Uint32Array[]): void {
    missing("gatherRows", this.#context);
  }

  /** As `Engine.rotateRows`. */
  rotateRows(
    _rows: LayerRows,
    _targets: readonly Uint32Array[],
    _frequencies: RopeFrequencies,
    _ropeStyle: RopeShape["ropeStyle"],
  ): void {
    missing("rotateRows", this.#context);
  }
}

export function missing(op: string, _context: OpContext): never {
  throw new KvasirError("unavailable", `Cannot compute: engine "webgpu" has no ${op} yet`);
}
