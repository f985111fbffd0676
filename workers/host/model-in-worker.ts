// The one model of a worker, for one page or several: loaded by whoever asks first, freed when the last
// leaves.
import { KvasirError } from "../../src/errors.ts";
import type { LocalModel } from "../../src/session/local-model.ts";
import { load as loadOn } from "../../src/load.ts";
import type { ModelSource, Runtime } from "../../src/runtime/runtime.ts";
import type { LoadProgress } from "../../src/types.ts";
import type { WireLoadOptions } from "../session-api.ts";
import { openMethods, type OwnMethods } from "./own-methods.ts";

export interface Loaded {
  readonly model: LocalModel;
  readonly methods: OwnMethods;
}

interface Loading {
  readonly done: Promise<Loaded>;
  readonly abort: AbortController;
}

export class ModelInWorker {
  readonly #runtime: Runtime;
  readonly #listeners = new Set<(progress: LoadProgress) => void>();
  #loading: Loading | null = null;
  #nUsers = 0;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Loads the model, or joins who does; `leave` once for each that came back. */
  async join(
    source: ModelSource,
    options: WireLoadOptions,
    signal: AbortSignal,
    onProgress: (progress: LoadProgress) => void,
  ): Promise<Loaded> {
    this.#listeners.add(onProgress);
    this.#nUsers++;
    const loading = (this.#loading ??= this.#load(source, options));
    let onAbort = (): void => {};
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(abortError(signal));
    });
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    try {
      return await Promise.race([loading.done, aborted]);
    } catch (error) {
      // Who gives up does not wait for a download to notice.
      void this.leave();
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#listeners.delete(onProgress);
    }
  }

  async leave(): Promise<void> {
    if (--this.#nUsers > 0) return;
    const loading = this.#loading;
    this.#loading = null;
    loading?.abort.abort();
    const loaded = await loading?.done.catch(() => null);
    loaded?.model.dispose();
  }

  get isUsed(): boolean {
    return this.#nUsers > 0;
  }

  #load(source: ModelSource, wire: WireLoadOptions): Loading {
    const { methods, ...options } = wire;
    const abort = new AbortController();
    const load = async (): Promise<Loaded> => {
      const own = await openMethods(methods);
      const model = await loadOn(source, {
        ...options,
        runtime: this.#runtime,
        signal: abort.signal,
        onProgress: (progress) => this.#listeners.forEach((tell) => tell(progress)),
      });
      return { model: model as LocalModel, methods: own };
    };
    return { done: load(), abort };
  }
}

function abortError(signal: AbortSignal): KvasirError {
  return new KvasirError("aborted", "Cannot load the model: aborted", { cause: signal.reason });
}
