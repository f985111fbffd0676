// What `npm run bench` and a packed benchmark are made of: bench/ as modules that run by themselves.
import { join } from "node:path";
import { build } from "esbuild";
import { root } from "./run.mjs";

/** Bundles `bench/<name>.ts` for each name: pages and bare machines have no node_modules. */
export async function bundleBench(names, outdir) {
  await build({
    entryPoints: names.map((name) => join(root, "bench", `${name}.ts`)),
    outdir,
    bundle: true,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    external: ["node:*", "playwright-core"],
    mainFields: ["module", "main"],
    loader: { ".wgsl": "text" },
    logLevel: "warning",
  });
}

/** The bundles that jobs run in. */
export const jobBundles = ["worker-process", "worker-page"];
