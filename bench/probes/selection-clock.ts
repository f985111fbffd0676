// Times what compression adds to a prefill, by shadowing methods of the loaded model's own objects.
// On an engine that queues its work only `betweenMs` counts what the device does.
import type { LocalModel } from "../../src/session/local-model.ts";
import { type Call, shadow } from "./shadow.ts";

export class SelectionClock {
  /** From the end of a layer to the start of the next: measure, read, select, gather, allocate. */
  betweenMs = 0;
  measureMs = 0;
  /** In the scoring and selecting kernels. */
  selectMs = 0;
  gatherMs = 0;
  #lastLayer = -1;
  #ended = 0;
  #isOpen = false;
  readonly #undo: (() => void)[];

  constructor({ parts: { transformer, kernels } }: LocalModel) {
    const { engine } = transformer;
    const add =
      (to: "measureMs" | "selectMs" | "gatherMs") =>
      (original: Call): Call => {
        return (...values) => {
          const started = performance.now();
          const result = original(...values);
          this[to] += performance.now() - started;
          return result;
        };
      };
    this.#undo = [
      shadow(engine, "measureWindow", add("measureMs")),
      shadow(engine, "gatherRows", add("gatherMs")),
      ...Object.keys(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(kernels)))
        .filter((name): name is keyof typeof kernels => isSelecting(name, kernels))
        .map((name) => shadow(kernels, name, add("selectMs"))),
      shadow(transformer, "layer", (original) => (...values) => {
        const l = values[1] as number;
        if (this.#isOpen && l !== this.#lastLayer) this.#close();
        const result = original(...values);
        this.#open(l);
        return result;
      }),
      // After the last layer: logits of the prompt, then what methods over all layers do.
      shadow(transformer, "logits", (original) => (...values) => {
        this.#close();
        const result = original(...values);
        this.#open(-1);
        return result;
      }),
      shadow(transformer, "embed", (original) => (...values) => {
        this.#close();
        return original(...values);
      }),
    ];
  }

  /** Ends the last interval and gives the objects back as they were. */
  stop(): void {
    this.#close();
    for (const undo of this.#undo) undo();
  }

  #open(l: number): void {
    this.#lastLayer = l;
    this.#isOpen = true;
    this.#ended = performance.now();
  }

  #close(): void {
    if (this.#isOpen) this.betweenMs += performance.now() - this.#ended;
    this.#isOpen = false;
  }
}

const sampling = ["constructor", "softmax", "topK", "logSumExp"];

function isSelecting(name: string, kernels: object): boolean {
  return !sampling.includes(name) && typeof Reflect.get(kernels, name) === "function";
}
