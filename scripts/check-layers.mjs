// Checks who imports whom: imports point downwards, and only runtime/ names a platform.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";
import { root, say } from "./lib/run.mjs";

// The first line that matches a path says its unit. Files of one unit may import each other.
const units = [
  { layer: 0, unit: "errors", paths: /^src\/(errors|types|text-list|assets\.d)\.ts$/ },
  { layer: 0, unit: "errors", paths: /^src\/runtime\/runtime\.ts$/ },
  { layer: 1, unit: "gguf", paths: /^src\/gguf\// },
  { layer: 1, unit: "tokenizer", paths: /^src\/tokenizer\// },
  { layer: 1, unit: "sampler", paths: /^src\/sampler\// },
  { layer: 1, unit: "compression", paths: /^src\/compression\// },
  { layer: 2, unit: "engine interface", paths: /^src\/engine\/(engine|alloc-all)\.ts$/ },
  { layer: 2, unit: "cache", paths: /^src\/cache\// },
  { layer: 2, unit: "weights/formats", paths: /^src\/weights\/formats\// },
  { layer: 3, unit: "engine/reference", paths: /^src\/engine\/reference\// },
  { layer: 3, unit: "engine/wasm", paths: /^src\/engine\/wasm\// },
  { layer: 3, unit: "engine/webgpu", paths: /^src\/engine\/webgpu\// },
  { layer: 3, unit: "weights", paths: /^src\/weights\// },
  { layer: 3, unit: "model", paths: /^src\/model\// },
  { layer: 4, unit: "create-engine", paths: /^src\/engine\/[^/]+\.ts$/ },
  { layer: 6, unit: "index", paths: /^src\/index\.ts$/ },
  { layer: 5, unit: "flow", paths: /^src\/[^/]+\.ts$/ },
  { layer: 6, unit: "runtime", paths: /^src\/runtime\// },
  { layer: 6, unit: "parity", paths: /^src\/parity\// },
  { layer: 7, unit: "entry", paths: /^src\/entry\// },
  { layer: 5, unit: "flow", paths: /^src\// },
  { layer: 8, unit: "workers", paths: /^workers\// },
  { layer: 9, unit: "cli", paths: /^cli\// },
  { layer: 9, unit: "bench", paths: /^bench\// },
];

/** Not even a type: what keeps these parts testable alone. */
const never = [
  { from: "compression", to: /^(engine|cache)/, why: "a method gets signals, not tensors" },
  { from: "model", to: /^engine\//, why: "the model must not know which engine runs it" },
  { from: "flow", to: /^engine\//, why: "engines come through create-engine.ts" },
];

/** Words that name a platform; inside src/ only runtime/ and the entries may say them. */
const platformWords = /\bfrom "node:|\bimport\("node:|\bDeno\.|\bnavigator\b|\bcaches\./;
const mayNamePlatform = /^src\/(runtime\/(?!runtime\.ts)|entry\/)/;

const importPattern =
  /^(import|export)(\s+type)?\s[^;]*?from\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm;

const problems = [];
const files = ["src", "workers", "cli", "bench"].flatMap(sourceFiles);
for (const path of files) checkFile(path);
for (const problem of problems) say(problem);
if (problems.length > 0) process.exitCode = 1;
else say(`layers: ${files.length} files are in order`);

function sourceFiles(folder) {
  const full = join(root, folder);
  if (!existsSync(full)) return [];
  return readdirSync(full, { recursive: true })
    .map((name) => join(full, name))
    .filter((path) => path.endsWith(".ts") && statSync(path).isFile())
    .map((path) => relative(root, path).replaceAll("\\", "/"));
}

function unitOf(path) {
  return units.find(({ paths }) => paths.test(path));
}

function checkFile(path) {
  const code = withoutComments(readFileSync(join(root, path), "utf8"));
  const own = unitOf(path);
  for (const [, , type, from, bare, dynamic] of code.matchAll(importPattern)) {
    const target = from ?? bare ?? dynamic;
    if (!target.startsWith(".") || target.endsWith(".wasm")) continue;
    const resolved = posix.join(dirname(path), target);
    const other = unitOf(resolved);
    if (other === undefined) problems.push(`${path}: imports ${resolved}, outside of the layers`);
    else if (other.unit !== own.unit) checkImport(path, own, resolved, other, type !== undefined);
  }
  if (path.startsWith("src/") && !mayNamePlatform.test(path) && platformWords.test(code)) {
    problems.push(`${path}: names a platform, ${JSON.stringify(platformWords.exec(code)[0])}`);
  }
}

function checkImport(path, own, resolved, other, isType) {
  const rule = never.find(({ from, to }) => from === own.unit && to.test(other.unit));
  if (rule !== undefined) problems.push(`${path}: imports ${resolved}: ${rule.why}`);
  // A type makes no dependency at run time; interfaces lie where their users are.
  else if (!isType && other.layer >= own.layer) {
    problems.push(
      `${path}: ${own.unit} (layer ${own.layer}) imports ${resolved} (layer ${other.layer})`,
    );
  }
}

function withoutComments(code) {
  return code.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
}
