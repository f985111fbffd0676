import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { arch, availableParallelism, homedir, platform } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { ByteSource } from "../gguf/byte-source.ts";
import type { KernelBuild, KernelWorker, ModelSource, OpenOptions, Runtime } from "./runtime.ts";
import { compileKernels, kernelsUnavailable } from "./kernels.ts";
import { openFileSource } from "./node-file-source.ts";
import { checkSource, openHeldSource, openUrl } from "./open-source.ts";
import { checkStoreName, openThroughStore, type EarlyStore } from "./open-stored.ts";
import { createSha256 } from "./storage/node-sha256.ts";
import { createNotes } from "./storage/notes.ts";
import { storageUnavailable } from "./storage/storage.ts";
import { guessCores, listedCores, quotaCores } from "./threads/cores.ts";

export const notes = createNotes(async () => {
  const { createFsDriver } = await import("./storage/fs.ts");
  return createFsDriver(join(cacheFolder(), "notes"));
});

/** Node 20 and later. */
export const nodeRuntime: Runtime = {
  name: "node",
  loadKernels,
  openByteSource,
  modelStore,
  get hardwareThreads() {
    return countCores();
  },
  spawnKernelWorker,
  gpu: () => (dawn ??= openDawn()),
  notes,
};

let dawn: Promise<object | null> | undefined;

/**
 * The optional package `webgpu`; null where it is not installed, has no build for this machine, or
 * would only say on standard error that there is no Vulkan.
 */
async function openDawn(): Promise<object | null> {
  if (platform() === "linux" && !hasVulkanLoader()) return null;
  try {
    const { create } = await import("webgpu");
    return create([]);
  } catch {
    return null;
  }
}

/** Whether a program that asks for Vulkan's loader finds it, as far as the usual folders tell. */
function hasVulkanLoader(): boolean {
  const asked = (process.env["LD_LIBRARY_PATH"] ?? "").split(":");
  const triple = `${arch() === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`;
  const usual = [
    "/usr/lib",
    "/usr/lib64",
    "/lib",
    "/lib64",
    "/usr/local/lib",
    `/usr/lib/${triple}`,
  ];
  return [...asked, ...usual].some((folder) => existsSync(join(folder, "libvulkan.so.1")));
}

/** Physical cores that this process may use. */
function countCores(): number {
  const nLogical = availableParallelism();
  if (platform() !== "linux") return arch() === "arm64" ? nLogical : guessCores(nLogical);
  const nListed = listedCores(readText("/proc/cpuinfo")) ?? nLogical;
  const nAllowed = quotaCores(readText("/sys/fs/cgroup/cpu.max")) ?? nLogical;
  return Math.min(nLogical, nListed, nAllowed);
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

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
    try {
      if (sha256 !== undefined) await checkSource(file, sha256, signal, createSha256());
    } catch (error) {
      await file.close?.();
      throw error;
    }
    return file;
  }
  return (await openThroughStore(place, options, modelStore)) ?? openUrl(place, options);
}

export async function modelStore(name?: string): Promise<EarlyStore> {
  const own = checkStoreName(name);
  let folder: string;
  try {
    folder = join(cacheFolder(), own);
  } catch (cause) {
    throw storageUnavailable("find the cache folder", cause); // Deno without --allow-env
  }
  const [{ createModelStore }, { createFsDriver }] = await Promise.all([
    import("./store/model-store.ts"),
    import("./storage/fs.ts"),
  ]);
  return createModelStore(createFsDriver(folder));
}

/** Where downloads stay for the next run: $KVASIR_CACHE or the user's cache. */
function cacheFolder(): string {
  const asked = process.env["KVASIR_CACHE"];
  if (asked !== undefined && asked !== "") return asked;
  if (platform() === "win32") {
    return join(process.env["LOCALAPPDATA"] ?? join(homedir(), "AppData", "Local"), "kvasir");
  }
  if (platform() === "darwin") return join(homedir(), "Library", "Caches", "kvasir");
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "kvasir");
}
