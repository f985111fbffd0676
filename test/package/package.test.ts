// What `npm pack` would publish: complete, resolvable, and small. Needs a built dist/.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { publint } from "publint";
import { describe, expect, it } from "vitest";

type Target = string | { readonly [condition: string]: Target };

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly exports: Readonly<Record<string, Target>>;
  readonly bin: Readonly<Record<string, string>>;
};

/** Bytes after gzip that an entry may cost with everything that it imports at once. */
const CEILINGS = { browser: 60_000, node: 65_000, deno: 65_000, workerd: 100_000 } as const;
/** The same with what is imported when it is asked for: the WebGPU engine with its shaders. */
const CEILING_LATER = 150_000;
/** What an answer on the CPU takes, less what the file itself asks for: tokenizer, template. */
const CEILING_SESSION = 75_000;
/** What a page loads that has its model in a worker, and what a worker of the thread pool loads. */
const CEILING_PAGE = 10_000;
const KERNELS_CEILING = 250_000;

function targets(target: Target): string[] {
  return typeof target === "string" ? [target] : Object.values(target).flatMap(targets);
}

function npm(...args: string[]): string {
  return execFileSync("npm", args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

const IMPORTS = {
  atOnce: /\b(?:from|import)\s*['"](\.[^'"]+\.js)['"]/g,
  all: /\b(?:from|import)\s*\(?\s*['"](\.[^'"]+\.js)['"]/g,
} as const;

/** An entry of dist/ and what it imports: path -> code. */
function graph(
  entry: string,
  imports: keyof typeof IMPORTS = "all",
  found = new Map<string, string>(),
): Map<string, string> {
  if (found.has(entry)) return found;
  const code = readFileSync(entry, "utf8");
  found.set(entry, code);
  for (const [, target] of code.matchAll(IMPORTS[imports])) {
    graph(join(dirname(entry), target!), imports, found);
  }
  return found;
}

const packed = JSON.parse(npm("pack", "--dry-run", "--json", "--ignore-scripts")) as readonly {
  readonly files: readonly { readonly path: string; readonly size: number }[];
  readonly size: number;
}[];
const files = packed[0]!.files.map(({ path }) => path);

describe("npm pack", () => {
  it("holds every target of exports and bin", () => {
    const wanted = [
      ...Object.values(manifest.exports).flatMap(targets),
      ...Object.values(manifest.bin),
    ];
    for (const target of wanted) expect(files).toContain(target.replace(/^\.\//, ""));
  });

  it("holds the kernels, the licence and the readme", () => {
    for (const path of ["dist/kernels/simd128/kvasir_kernels_bg.wasm", "LICENSE", "README.md"]) {
      expect(files).toContain(path);
    }
  });

  it("holds nothing else than dist and the documents", () => {
    const others = files.filter((path) => !/^(dist\/|LICENSE|README\.md|package\.json)/.test(path));
    expect(others).toEqual([]);
  });

  it("passes publint", async () => {
    const { messages } = await publint({ pkgDir: root, strict: true });
    expect(messages).toEqual([]);
  });
});

describe("entries", () => {
  it("resolve by the package's name in Node", () => {
    const code = "import('kvasir').then((m) => console.log(typeof m.load, typeof m.KvasirError))";
    const printed = execFileSync(process.execPath, ["-e", code], { cwd: root, encoding: "utf8" });
    expect(printed.trim()).toBe("function function");
  });

  it("of the worker, too", () => {
    const code = "import('kvasir/worker').then((m) => console.log(Object.keys(m).sort().join()))";
    const printed = execFileSync(process.execPath, ["-e", code], { cwd: root, encoding: "utf8" });
    expect(printed.trim()).toBe("KvasirError,createWorkerSession,loadInWorker,modelStore");
  });

  for (const entry of ["worker", "kernel-pool.worker"]) {
    it(`stay under ${CEILING_PAGE} bytes gzipped in ${entry}`, () => {
      const files = graph(join(root, "dist", `${entry}.js`), "atOnce");
      const size = gzipSync([...files.values()].join("\n")).length;
      process.stdout.write(`dist/${entry}.js: ${size} bytes gzipped\n`);
      expect(size).toBeLessThan(CEILING_PAGE);
    });
  }

  for (const entry of ["browser", "workerd", "worker", "session.worker", "kernel-pool.worker"]) {
    it(`name no Node module in ${entry}`, () => {
      for (const [path, code] of graph(join(root, "dist", `${entry}.js`))) {
        expect(code, path).not.toMatch(/["']node:/);
      }
    });
  }

  for (const [entry, ceiling] of Object.entries(CEILINGS)) {
    it(`stay under ${ceiling} bytes gzipped in ${entry}`, () => {
      const sizeOf = (imports: keyof typeof IMPORTS): number => {
        const files = graph(join(root, "dist", `${entry}.js`), imports);
        return gzipSync([...files.values()].join("\n")).length;
      };
      const [atOnce, all] = [sizeOf("atOnce"), sizeOf("all")];
      process.stdout.write(`dist/${entry}.js: ${atOnce} bytes gzipped at once, ${all} in all\n`);
      expect(atOnce).toBeLessThan(ceiling);
      expect(all).toBeLessThan(CEILING_LATER);
    });
  }

  it(`keep each build of the kernels under ${KERNELS_CEILING} bytes gzipped`, () => {
    const builds = readdirSync(join(root, "dist", "kernels"), { withFileTypes: true });
    const names = builds.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    expect(names).toContain("simd128");
    for (const name of names) {
      const bytes = readFileSync(join(root, "dist", "kernels", name, "kvasir_kernels_bg.wasm"));
      const size = gzipSync(bytes).length;
      process.stdout.write(`kernels ${name}: ${bytes.length} bytes, ${size} gzipped\n`);
      expect(size, name).toBeLessThan(KERNELS_CEILING);
    }
  });

  it("leave to later what a start does not need", () => {
    const code = [...graph(join(root, "dist", "browser.js"), "atOnce").values()].join("\n");
    // Words that only the chat template's engine and the tokenizers have in them.
    const words = ["SelectExpression", "deepseek-r1-qwen"];
    for (const word of words) expect(code).not.toContain(word);
    const all = [...graph(join(root, "dist", "browser.js"), "all").values()].join("\n");
    for (const word of words) expect(all).toContain(word);
  });

  it(`stay under ${CEILING_SESSION} bytes gzipped in browser with sessions`, () => {
    const names = readdirSync(join(root, "dist"));
    const sessions = names.filter((name) => /^chunk-local-model-.*\.js$/.test(name));
    expect(sessions).toHaveLength(1);
    const files = graph(join(root, "dist", "browser.js"), "atOnce");
    graph(join(root, "dist", sessions[0] ?? ""), "atOnce", files);
    const size = gzipSync([...files.values()].join("\n")).length;
    process.stdout.write(`dist/browser.js: ${size} bytes gzipped with sessions\n`);
    expect(size).toBeLessThan(CEILING_SESSION);
  });

  it("hold everything in one file for workerd", () => {
    expect(graph(join(root, "dist", "workerd.js"), "all").size).toBe(1);
  });
});
