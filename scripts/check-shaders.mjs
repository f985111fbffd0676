// Checks what no compiler does: that a shader's header says what the shader declares, and two rules
// that keep shaders right on every device. Compiling them is the contract suite's part.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { root, say } from "./lib/run.mjs";

const folder = join(root, "src", "engine", "webgpu", "shaders");
const MAX_LINES = 400;
const BINDING =
  /^@group\(0\) @binding\((\d+)\)\s*var<(uniform|storage)(?:, (\w+))?>\s*(\w+): (.+);$/gm;

const problems = [];
const files = filesOf(folder);
const libraries = files.filter((path) => path.startsWith("lib/"));
const libraryNames = libraries.map((path) => basename(path));
/** Other texts for a library: variants/<variant>/<library>.wgsl. */
const variants = files.filter((path) => path.startsWith("variants/"));
const kernels = files.filter((path) => ![...libraries, ...variants].includes(path));
for (const path of kernels) {
  checkKernel(basename(path), readFileSync(join(folder, `${path}.wgsl`), "utf8"));
}
for (const path of libraries) {
  const code = readFileSync(join(folder, `${path}.wgsl`), "utf8");
  checkText(path, code);
  const mayBind = /^\/\/ .*\bbindings of their own\b/.test(code);
  if (/@compute/.test(code) || (!mayBind && /@group/.test(code))) {
    problems.push(`${path}: holds more than functions`);
  }
}
for (const path of variants) checkVariant(path, readFileSync(join(folder, `${path}.wgsl`), "utf8"));
for (const problem of problems) say(problem);
if (problems.length > 0) process.exitCode = 1;
else {
  const libs = `${libraries.length} libraries and ${variants.length} variants of them`;
  say(`shaders: ${kernels.length} kernels, ${libs} are in order`);
}

function filesOf(path) {
  const names = readdirSync(path, { recursive: true }).filter((name) => name.endsWith(".wgsl"));
  return names.map((name) => name.replaceAll("\\", "/").replace(".wgsl", ""));
}

function checkKernel(name, code) {
  const fail = (what) => problems.push(`${name}: ${what}`);
  checkText(name, code);
  const header = /^(?:\/\/.*\n)+/.exec(code)?.[0] ?? "";
  const text = header.replace(/^\/\/ ?/gm, "");
  if (!text.startsWith(`${name}: `)) fail("the header does not begin with its name");
  if (!/^Dispatch: /m.test(text)) fail("the header does not say how it is dispatched");
  if ((code.match(/@compute/g) ?? []).length !== 1) fail("has not one entry point");

  const listed = [...text.matchAll(/^\| (\d+) +\| (\w+) +\| (\w+) +\| ([^|]+?) +\|/gm)];
  const declared = [...code.matchAll(BINDING)];
  const inTable = listed.map(([, ...cells]) => cells.map(shortType).join(" "));
  const inCode = declared.map(([, index, space, access, variable, type]) => {
    const element = space === "uniform" ? "struct" : (/^array<(.*)>$/.exec(type)?.[1] ?? type);
    return [index, variable, access ?? "uniform", shortType(element)].join(" ");
  });
  if (inTable.join() !== inCode.join()) {
    fail(`the header lists [${inTable.join(", ")}], the shader declares [${inCode.join(", ")}]`);
  }

  const overrides = [...code.matchAll(/^override (\w+)/gm)].map(([, variable]) => variable);
  const said = /^Overrides: (.*?)(?:\.\s+Needs|\.\n)/ms.exec(text)?.[1];
  if (said === undefined) fail("the header does not list overrides");
  for (const variable of overrides) {
    if (!said?.includes(variable)) fail(`the header does not list ${variable}`);
  }
  for (const [variable] of said?.matchAll(/\b[A-Z][A-Z_]+\b/g) ?? []) {
    if (!overrides.includes(variable)) fail(`there is no override ${variable}`);
  }

  const libs = /\bLib: ([\w,\s]+?)\./.exec(text)?.[1];
  if (libs === undefined) fail("the header does not name its libraries");
  for (const lib of libs?.split(/,\s+/) ?? []) {
    if (lib !== "none" && !libraryNames.includes(lib)) fail(`there is no library ${lib}`);
  }
  checkReference(text, fail);
}

/** A kernel calls either text: the variant has the plain one's functions, and no directive. */
function checkVariant(path, code) {
  const name = basename(path);
  checkText(path, code);
  if (/@compute|@group/.test(code)) problems.push(`${path}: holds more than functions`);
  if (/^(enable|requires|diagnostic)/m.test(code)) problems.push(`${path}: has a directive`);
  const library = libraries.find((one) => basename(one) === name);
  if (library === undefined) return problems.push(`${path}: there is no library ${name}`);
  const own = signatures(code);
  const plain = signatures(readFileSync(join(folder, `${library}.wgsl`), "utf8"));
  for (const signature of plain) {
    if (!own.includes(signature)) problems.push(`${path}: has no ${signature}`);
  }
}

function signatures(code) {
  return [...code.matchAll(/^(fn [^{]+?) \{/gm)].map(([, text]) => text.replace(/\s+/g, " "));
}

function checkReference(text, fail) {
  const [, file, symbols] = /^Reference: ([\w/.-]+)#([\w#, ]+)/m.exec(text) ?? [];
  const path = join(root, "src", file ?? "");
  if (file === undefined || !existsSync(path)) return fail("the reference is no file of src");
  const code = readFileSync(path, "utf8");
  for (const symbol of symbols.split(/[#, ]+/)) {
    if (!new RegExp(`\\b${symbol}\\(`).test(code)) fail(`${file} has no ${symbol}`);
  }
}

function checkText(name, code) {
  const lines = code.split("\n");
  if (lines.length > MAX_LINES) problems.push(`${name}: ${lines.length} lines`);
  lines.forEach((line, i) => {
    const at = `${name}:${i + 1}`;
    if (/\t|\s$/.test(line)) problems.push(`${at}: a tab, or space at the end`);
    // Dawn and wgpu do not zero them again in each round of a loop.
    if (/^\s+var \w+(: [^=]+)?;/.test(line)) problems.push(`${at}: a variable without a value`);
  });
}

/** vec4<f32> and vec4f are one type. */
function shortType(type) {
  return type.replace(/\bvec(\d)<([fiu])32>/g, "vec$1$2");
}
