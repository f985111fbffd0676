import type { ByteSource } from "../gguf/byte-source.ts";
import type { KernelBuild, ModelSource, OpenOptions, Runtime } from "./runtime.ts";
import { KvasirError } from "../errors.ts";
import { compileKernels, kernelsUnavailable } from "./kernels.ts";
import { openHeldSource, openUrl } from "./open-source.ts";
import { checkStoreName, openThroughStore, type EarlyStore } from "./open-stored.ts";
import { createNotes } from "./storage/notes.ts";
import type { StorageDriver } from "./storage/storage.ts";
import { guessCores } from "./threads/cores.ts";
import { spawnWebWorker } from "./threads/web-worker.ts";

/** Pages and workers of browsers; a string is a URL relative to the page. */
export const browserRuntime: Runtime = {
  name: "browser",
  loadKernels,
  openByteSource,
  modelStore,
  notes: createNotes(openNotes),
  get hardwareThreads() {
    return guessCores(navigator.hardwareConcurrency);
  },
  gpu: async () => navigator.gpu ?? null,
  spawnKernelWorker: () =>
    spawnWebWorker(
      () => new Worker(new URL("./kernel-pool.worker.js", import.meta.url), { type: "module" }),
    ),
};

async function loadKernels(build: KernelBuild): Promise<WebAssembly.Module> {
  const response = fetch(kernelsUrl(build)).then((answer) => {
    if (!answer.ok) throw kernelsUnavailable(build, new Error(`status ${answer.status}`));
    return answer;
  });
  return compileKernels(build, response);
}

/** Whole literals: bundlers find assets by them. */
function kernelsUrl(build: KernelBuild): URL {
  switch (build) {
    case "simd128":
      return new URL("./kernels/simd128/kvasir_kernels_bg.wasm", import.meta.url);
    case "relaxed":
      return new URL("./kernels/relaxed/kvasir_kernels_bg.wasm", import.meta.url);
    case "simd128-threads":
      return new URL("./kernels/simd128-threads/kvasir_kernels_bg.wasm", import.meta.url);
    case "relaxed-threads":
      return new URL("./kernels/relaxed-threads/kvasir_kernels_bg.wasm", import.meta.url);
  }
}

async function openByteSource(source: ModelSource, options: OpenOptions = {}): Promise<ByteSource> {
  const opened = await openHeldSource(source, options);
  if (typeof opened !== "string" && !(opened instanceof URL)) return opened;
  let url: URL;
  try {
    url = new URL(opened, globalThis.location.href);
  } catch (cause) {
    throw new KvasirError("not-found", `Cannot open "${String(opened)}": not a URL`, { cause });
  }
  const { href } = url;
  return (await openThroughStore(href, options, modelStore)) ?? openUrl(href, options);
}

async function modelStore(name?: string): Promise<EarlyStore> {
  const folder = `kvasir/${checkStoreName(name)}`;
  // Opened late: a page that keeps nothing does not pay for it.
  const [{ createModelStore }, { createOpfsDriver, hasOpfs }] = await Promise.all([
    import("./store/model-store.ts"),
    import("./storage/opfs.ts"),
  ]);
  if (hasOpfs()) return createModelStore(createOpfsDriver(folder));
  const reason = "this page has no private file system; it needs https or localhost";
  throw new KvasirError("unavailable", `Cannot open the model store: ${reason}`);
}

async function openNotes(): Promise<StorageDriver> {
  const { createOpfsDriver, hasOpfs } = await import("./storage/opfs.ts");
  if (hasOpfs()) return createOpfsDriver("kvasir/notes");
  throw new KvasirError("unavailable", "Cannot keep notes: this page has no private file system");
}
