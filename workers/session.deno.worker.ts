// The worker that holds a model, in Deno.
import { denoRuntime } from "../src/runtime/deno.ts";
import { serveOne } from "./host/serve.ts";

serveOne(denoRuntime);
