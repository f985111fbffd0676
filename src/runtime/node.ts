import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { availableParallelism, homedir, platform } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { ByteSource } from "../gguf/byte-source.ts";
import type { KernelBuild, KernelWorker, ModelSource, OpenOptions, Runtime } from "./runtime.ts";
import { download, hashFile } from "./download.ts";
import { openFetchSource } from "./fetch-source.ts";
import { compileKernels, kernelsUnavailable } from "./kernels.ts";
import { openFileSource } from "./node-file-source.ts";
import { compareSha256, openHeldSource } from "./open-source.ts";

/** Node 20 and later. */
export const nodeRuntime: Runtime = {
  name: "node",
  loadKernels,
  openByteSource,
  get hardwareThreads() {
    return availableParallelism();
  },
  spawnKernelWorker,
};

function spawnKernelWorker(): KernelWorker {
  // Beside the built package, or from the sources.
  const places = ["./kernel-pool.node.worker.js", "../../dist/kernel-pool.node.worker.js"];
  const urls = places.map((place) => new URL(place, import.meta.url));
  const url = urls.find((place) => existsSync(place)) ?? urls[0];
  const worker = new Worker(url ?? "", { name: "kvasir kernels" });
  // A program that forgot to dispose its model ends all the same.
  worker.unref();
  return {
    post: (message) => worker.postMessage(message),
    onFailure(callback) {
      worker.once("error", (error) => callback(error.message));
      worker.once("exit", (status) => callback(`exit status ${status}`));
    },
    terminate: () => void worker.terminate(),
  };
}

export async function loadKernels(build: KernelBuild): Promise<WebAssembly.Module> {
  const path = `kernels/${build}/kvasir_kernels_bg.wasm`;
  // Beside the built package, or from the sources.
  const places = [
    new URL(`./${path}`, import.meta.url),
    new URL(`../../dist/${path}`, import.meta.url),
  ];
  let failure: unknown;
  for (const place of places) {
    const bytes = await readFile(place).catch((error: unknown) => {
      failure ??= error;
      return null;
    });
    if (bytes !== null) return compileKernels(build, new Uint8Array(bytes));
  }
  throw kernelsUnavailable(build, failure);
}

export async function openByteSource(
  source: ModelSource,
  options: OpenOptions = {},
): Promise<ByteSource> {
  const opened = await openHeldSource(source, options);
  if (typeof opened !== "string" && !(opened instanceof URL)) return opened;
  const place = String(opened);
  const { sha256, signal } = options;
  if (!/^(https?|blob|data):/i.test(place)) {
    const path = /^file:/i.test(place) ? fileURLToPath(place) : place;
    const file = await openFileSource(path);
    if (sha256 !== undefined) compareSha256(path, await hashFile(path, signal), sha256);
    return file;
  }
  if (sha256 === undefined) return openFetchSource(place, options);
  const path = join(cacheFolder(), `${sha256.slice(0, 16)}-${basename(new URL(place).pathname)}`);
  await download(place, path, { ...options, sha256 });
  return openFileSource(path);
}

/** Where downloads with a known SHA-256 stay for the next run: $KVASIR_CACHE or the user's cache. */
function cacheFolder(): string {
  const asked = process.env["KVASIR_CACHE"];
  if (asked !== undefined && asked !== "") return asked;
  if (platform() === "win32") {
    return join(process.env["LOCALAPPDATA"] ?? join(homedir(), "AppData", "Local"), "kvasir");
  }
  if (platform() === "darwin") return join(homedir(), "Library", "Caches", "kvasir");
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "kvasir");
}
