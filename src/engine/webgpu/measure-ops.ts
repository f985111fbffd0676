// What methods may ask about cached rows.
import type {
  AttendShape,
  EngineBuffer,
  HeadShape,
  LayerRows,
  RopeShape,
  SumsLayout,
  Weight,
} from "../engine.ts";
import type { OpContext } from "./op-context.ts";
import { missing } from "./row-ops.ts";

export class MeasureOps {
  readonly #context: OpContext;

  constructor(context: OpContext) {
    this.#context = context;
  }

  /** As `Engine.measureWindow`. */
  measureWindow(
    _out: EngineBuffer,
    _queries: EngineBuffer,
    _rows: LayerRows,
    _shape: AttendShape,
    _firstPosition: number,
    _nQueries: number,
    _layout?: SumsLayout,
  ): void {
    missing("measureWindow", this.#context);
  }

  /** As `Engine.measureQueries`. */
  measureQueries(
    _sums: EngineBuffer,
    _queries: EngineBuffer,
    _table: EngineBuffer,
    _shape: RopeShape,
    _nQueries: number,
  ): void {
    missing("measureQueries", this.#context);
  }

  /** As `Engine.measureOutputs`. */
  measureOutputs(_out: EngineBuffer, _rows: LayerRows, _weight: Weight, _shape: HeadShape): void {
    missing("measureOutputs", this.#context);
  }
}
