// What a test runs inside a page, or inside a worker of the page: bundled, and served as tab.js.
import type { LoadOptions, LoadProgress, StoredModel } from "../../src/index.ts";
import type * as Entry from "../../src/entry/browser.ts";
import { createOpfsDriver } from "../../src/runtime/storage/opfs.ts";
import { STORAGE_CASES } from "../contract/storage-cases.ts";

type Kvasir = typeof Entry;

export interface Answer {
  readonly tokens: readonly number[];
  readonly progress: readonly LoadProgress[];
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface AnswerOptions extends Omit<LoadOptions, "runtime" | "signal" | "onProgress"> {
  readonly ids: readonly number[];
  /** Wrap the source in a File first. */
  readonly asFile?: boolean;
}

/** The built package. */
const kvasir = (): Promise<Kvasir> => {
  const place = "/dist/browser.js"; // a variable: bundlers leave it alone
  return import(place) as Promise<Kvasir>;
};

async function fileOf(url: string): Promise<File> {
  const response = await fetch(url);
  return new File([await response.arrayBuffer()], "model.gguf");
}

const actions = {
  /** Loads a model and answers six tokens. */
  async answer(url: string, { ids, asFile = false, ...options }: AnswerOptions): Promise<Answer> {
    const { load } = await kvasir();
    const progress: LoadProgress[] = [];
    const tokens: number[] = [];
    try {
      const source = asFile ? await fileOf(url) : url;
      const onProgress = (step: LoadProgress) => void progress.push(step);
      const model = await load(source, { activations: "f32", ...options, onProgress });
      const session = model.session();
      for await (const event of session.generate({ tokens: ids }, { maxTokens: 6 })) {
        if (event.type === "token") tokens.push(event.token);
      }
      model.dispose();
      return { tokens, progress, error: null };
    } catch (error) {
      const { code, message } = error as { readonly code: string; readonly message: string };
      return { tokens, progress, error: { code, message } };
    }
  },

  /** Starts to load, and says so once `bytes` have come; the load goes on. */
  async begin(url: string, bytes: number): Promise<number> {
    const { load } = await kvasir();
    return new Promise((resolve, reject) => {
      const onProgress = ({ bytes: done }: LoadProgress) => {
        if (done >= bytes) resolve(done);
      };
      load(url, { onProgress }).catch(reject);
    });
  },

  async store(): Promise<{
    models: Omit<StoredModel, "storedAt">[];
    size: object;
    folders: string[];
  }> {
    const { modelStore } = await kvasir();
    const store = await modelStore();
    const models = (await store.list()).map((model) => ({ ...model, storedAt: undefined }));
    const folders = (await createOpfsDriver("kvasir/models").list()).map(({ name }) => name);
    return { models, size: await store.size(), folders };
  },

  /** How many wait for a lock, in all tabs. */
  async waiting(): Promise<number> {
    const { pending } = await navigator.locks.query();
    return pending?.length ?? 0;
  },

  async remove(url: string): Promise<boolean> {
    const { modelStore } = await kvasir();
    return (await modelStore()).delete(url);
  },

  /** Runs the drivers' contract. @returns Name -> what is broken, null where nothing is. */
  async contract(): Promise<Record<string, string | null>> {
    const results: Record<string, string | null> = {};
    for (const [i, { name, run }] of STORAGE_CASES.entries()) {
      const failure = await run(createOpfsDriver(`contract/${i}`)).catch(String);
      results[name] = failure ?? null;
    }
    return results;
  },
};

export type Actions = typeof actions;
export type ActionName = keyof Actions;

type AnyAction = (...args: readonly unknown[]) => Promise<unknown>;

function runInWorker(name: ActionName, args: readonly unknown[]): Promise<unknown> {
  const worker = new Worker("/tab.js", { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.onmessage = ({ data }: MessageEvent<{ value?: unknown; error?: string }>) => {
      if (data.error === undefined) resolve(data.value);
      else reject(new Error(data.error));
    };
    worker.postMessage({ name, args });
  });
}

if ("document" in globalThis) {
  Object.assign(globalThis, {
    run: (name: ActionName, ...args: unknown[]) => (actions[name] as AnyAction)(...args),
    runInWorker: (name: ActionName, ...args: unknown[]) => runInWorker(name, args),
  });
} else {
  onmessage = ({ data }: MessageEvent<{ name: ActionName; args: unknown[] }>) => {
    (actions[data.name] as AnyAction)(...data.args).then(
      (value) => postMessage({ value }),
      (error: unknown) => postMessage({ error: String(error) }),
    );
  };
}
