// The worker that holds a model, in Deno.
import { denoRuntime } from "../src/runtime/deno.ts";
import { serveOne } from "./host/serve.ts";

// It ends by itself, after its last answer: see client.deno.ts.
serveOne(denoRuntime, undefined, () => void setTimeout(() => globalThis.close()));
