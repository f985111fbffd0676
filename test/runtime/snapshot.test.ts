// A saved session from one runtime to the other, and back: the text is transformers' own. Needs a built
// dist/.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";
import { requireGolden } from "../support/golden.ts";
import { toyGolden } from "../support/toys.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "kvasir-runtime-snapshot-"));
afterAll(() => rmSync(folder, { recursive: true }));

const { ids, greedy } = toyGolden("toy-qwen2");
const deno = [join(root, "node_modules", "deno", "bin.cjs"), "run", "--quiet", "--allow-all"];
const COMMANDS = { node: [], deno } as const;
type Runtime = keyof typeof COMMANDS;

/** Runs `body` with `model` at hand; what it prints, as JSON. */
function run(runtime: Runtime, name: string, body: string): unknown {
  const path = join(folder, `${name}.mjs`);
  const entry = JSON.stringify(join(root, "dist", `${runtime}.js`));
  const toy = JSON.stringify(requireGolden("toys/toy-qwen2.gguf"));
  writeFileSync(
    path,
    `import { readFileSync, writeFileSync } from "node:fs";
     import { load } from ${entry};
     const model = await load(${toy}, { activations: "f32", engine: "wasm" });
     ${body}
     model.dispose();`,
  );
  const options = { encoding: "utf8", timeout: 60_000 } as const;
  return JSON.parse(execFileSync(process.execPath, [...COMMANDS[runtime], path], options));
}

const [here, there] = ["here", "there"].map((name) => join(folder, `${name}.kvasir`));

it.each([
  ["node", "deno"],
  ["deno", "node"],
] as const)("from %s to %s", (from, to) => {
  run(
    from,
    `save-${from}`,
    `const session = model.session({ codec: "f32" });
     await session.read({ tokens: ${JSON.stringify(ids.slice(0, -1))} });
     const file = await session.save();
     writeFileSync(${JSON.stringify(here)}, new Uint8Array(await file.arrayBuffer()));
     console.log(file.size);`,
  );
  const tokens = run(
    to,
    `restore-${to}`,
    `const session = await model.restore(readFileSync(${JSON.stringify(here)}));
     const file = await session.save();
     writeFileSync(${JSON.stringify(there)}, new Uint8Array(await file.arrayBuffer()));
     const tokens = [];
     const options = { maxTokens: ${greedy.tokens.length}, ignoreEos: true };
     const last = { tokens: ${JSON.stringify(ids.slice(-1))} };
     for await (const event of session.generate(last, options)) {
       if (event.type === "token") tokens.push(event.token);
     }
     console.log(JSON.stringify(tokens));`,
  );
  expect(tokens).toEqual(greedy.tokens);
  expect(readFileSync(there ?? "")).toEqual(readFileSync(here ?? ""));
});
