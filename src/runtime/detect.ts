import type { Runtime } from "./runtime.ts";

/**
 * Tells where this code runs, from what each platform alone has. Deno and Workers offer parts of
 * Node's globals, so they are asked first.
 */
export function detectRuntime(): Runtime["name"] {
  const scope = globalThis as {
    Deno?: unknown;
    navigator?: { userAgent?: string };
    process?: { versions?: { node?: string } };
    document?: unknown;
    WorkerGlobalScope?: unknown;
  };
  if (scope.Deno !== undefined) return "deno";
  if (scope.navigator?.userAgent === "Cloudflare-Workers") return "workerd";
  if (scope.process?.versions?.node !== undefined) return "node";
  if (scope.document !== undefined || scope.WorkerGlobalScope !== undefined) return "browser";
  return "other";
}
