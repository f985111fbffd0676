import type { ByteSource } from "../gguf/byte-source.ts";
import type { KernelBuild, ModelSource, OpenOptions, Runtime } from "./runtime.ts";
import { KvasirError } from "../errors.ts";
import { kernelsUnavailable } from "./kernels.ts";
import { openHeldSource, openUrl } from "./open-source.ts";

/**
 * Cloudflare Workers. WebAssembly cannot be compiled there at run time, so the entry point imports
 * the kernels as modules and passes them in.
 */
export function workerdRuntime(
  kernels: Readonly<Partial<Record<KernelBuild, WebAssembly.Module>>>,
): Runtime {
  return {
    name: "workerd",
    loadKernels(build) {
      const module = kernels[build];
      if (module === undefined) return Promise.reject(kernelsUnavailable(build));
      return Promise.resolve(module);
    },
    openByteSource,
    hardwareThreads: 1,
  };
}

async function openByteSource(source: ModelSource, options: OpenOptions = {}): Promise<ByteSource> {
  const opened = await openHeldSource(source, options);
  if (typeof opened !== "string" && !(opened instanceof URL)) return opened;
  const place = String(opened);
  if (!URL.canParse(place)) {
    throw new KvasirError("not-found", `Cannot open "${place}": Workers have no files`);
  }
  return openUrl(place, options);
}
