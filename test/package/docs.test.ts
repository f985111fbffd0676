// What the pages tell people to type, typed: the snippets of the README and of docs/ run on the built
// package with a toy model, and the table of methods is that of the registry. Needs a built dist/.
import { execFile, execFileSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { describeMethods } from "../../src/compression/describe-methods.ts";
import { startFaultServer } from "../support/fault-server.ts";
import { requireGolden } from "../support/golden.ts";
import { toyBytes } from "../support/toys.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
// Inside the repository, so that "kvasir" is the package itself.
mkdirSync(join(root, ".cache"), { recursive: true });
const folder = mkdtempSync(join(root, ".cache", "docs-test-"));
copyFileSync(requireGolden("toys/toy-llama.gguf"), join(folder, "model.gguf"));
afterAll(() => rmSync(folder, { recursive: true }));

function snippets(page: string): string[] {
  const text = readFileSync(join(root, page), "utf8");
  return [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code = ""]) => code);
}

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return name;
}

const execute = promisify(execFile);

const node = (...args: string[]): string =>
  execFileSync(process.execPath, args, { cwd: folder, encoding: "utf8" });

const cli = join(root, "dist", "cli.js");

describe("README.md", () => {
  const codes = snippets("README.md");

  it("has snippets for Node", () => expect(codes.length).toBeGreaterThanOrEqual(2));

  it.each(codes.map((code, i) => [i + 1, code] as const))("snippet %i runs", (i, code) => {
    expect(node(write(`readme-${i}.mjs`, code)).trim()).not.toBe("");
  });

  it("the table of methods is the registry's", () => {
    const methods = join(folder, write("methods.json", JSON.stringify(describeMethods())));
    node(join(root, "scripts", "make-readme.mjs"), "--check", "--methods", methods);
  });

  it("has the commands that there are", () => {
    const text = readFileSync(join(root, "README.md"), "utf8");
    const named = [...text.matchAll(/^ {4}kvasir (\w+)/gm)].map(([, name]) => name);
    const help = node(cli, "--help");
    for (const name of named) expect(help).toMatch(new RegExp(`^  ${name} `, "m"));
  });
});

describe("docs/worker.md", () => {
  it.each(snippets("docs/worker.md").map((code, i) => [i + 1, code] as const))(
    "snippet %i runs",
    (i, code) => {
      expect(node(write(`worker-${i}.mjs`, code)).trim()).not.toBe("");
    },
  );
});

describe("docs/loading.md", () => {
  it("the snippet loads a model, lists it and deletes it", async () => {
    const server = await startFaultServer(toyBytes("toy-llama"));
    const [code = ""] = snippets("docs/loading.md");
    const program = write(
      "loading.mjs",
      code.replace("https://example.com/model.gguf", server.url),
    );
    const cache = mkdtempSync(join(folder, "cache-"));
    const env = { ...process.env, KVASIR_CACHE: cache };
    const { stdout } = await execute(process.execPath, [program], { cwd: folder, env });
    await server.close();
    expect(stdout).toMatch(/^download 707712 of 707712 bytes/m);
    expect(stdout).toMatch(/^load \d+ of \d+ bytes/m);
    expect(stdout).toContain(`${server.url} 707712 true`);
    expect(readdirSync(join(cache, "models"))).toEqual([]);
    expect(server.ranges).toEqual(["bytes=0-"]);
  });
});

describe("docs/snapshot.md", () => {
  it("the program reads, forks, saves and restores", () => {
    const [program = ""] = snippets("docs/snapshot.md");
    expect(node(write("snapshot.mjs", program))).toMatch(/\d+ tokens read \d+ bytes\n$/);
  });
});

describe("docs/user-methods.md", () => {
  const [mine = "", program = ""] = snippets("docs/user-methods.md");
  write("mine.mjs", mine);

  it("the method works on the command line", () => {
    const ask = ["--model", "model.gguf", "--prompt", "One lamp burned. ".repeat(30), "--json"];
    const method = ["--method", "./mine.mjs", "--keep", "0.5", "--max-tokens", "4"];
    const { cache, tokens } = JSON.parse(node(cli, "run", ...ask, ...method)) as {
      readonly cache: { readonly keptRows: number; readonly fullRows: number };
      readonly tokens: { readonly prompt: number };
    };
    expect(tokens.prompt).toBeGreaterThan(60);
    expect(cache.keptRows / cache.fullRows).toBeLessThan(0.6);
  });

  it("and keeps rows with short keys, the first and the newest", () => {
    write("text.txt", "Two ships came in. ".repeat(20));
    const ask = ["--model", "model.gguf", "--file", "text.txt", "--question", "Who slept?"];
    const page = "kept.html";
    node(cli, "compare", ...ask, "--methods", "./mine.mjs", "--keep", "0.5", "--html", page);
    const html = readFileSync(join(folder, page), "utf8");
    const [, text = ""] = /id="data">(.*?)<\/script>/s.exec(html) ?? [];
    const data = JSON.parse(text) as {
      readonly levels: string;
      readonly methods: readonly { readonly runs: readonly { readonly cells: string[] }[] }[];
    };
    const all = data.levels.at(-1) ?? "";
    for (const cells of data.methods[0]?.runs[0]?.cells ?? []) {
      expect(cells.startsWith(all.repeat(4))).toBe(true);
      expect(cells.endsWith(all.repeat(16))).toBe(true);
    }
  });

  it("the method works in a program", () => {
    expect(node(write("program.mjs", program)).trim()).not.toBe("");
  });
});
