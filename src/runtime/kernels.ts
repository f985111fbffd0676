// Compiles the kernels, and says in our words why it could not.
import type { KernelBuild } from "./runtime.ts";
import { KvasirError } from "../errors.ts";

/** @throws {KvasirError} `unavailable` when this engine lacks what the build needs. */
export async function compileKernels(
  build: KernelBuild,
  bytes: BufferSource | Promise<Response>,
): Promise<WebAssembly.Module> {
  try {
    // Awaited first: a plain copy of the bytes works with servers that send another content type.
    const source = bytes instanceof Promise ? await (await bytes).arrayBuffer() : bytes;
    return await WebAssembly.compile(source);
  } catch (cause) {
    throw kernelsUnavailable(build, cause);
  }
}

export function kernelsUnavailable(build: KernelBuild, cause?: unknown): KvasirError {
  const reason = cause instanceof Error ? cause.message : "there is no such build";
  const message = `Cannot load the kernels (${build}): ${reason}`;
  return new KvasirError("unavailable", message, { cause });
}
