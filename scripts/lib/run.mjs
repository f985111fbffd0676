// Starting other programs, and saying what is being done. No dependencies.
import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that holds package.json. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const isWindows = process.platform === "win32";

export function say(message) {
  process.stderr.write(`${message}\n`);
}

/** The full path of a program on the PATH, or null. */
export function which(name, path = process.env["PATH"] ?? "") {
  for (const folder of path.split(delimiter)) {
    for (const ending of isWindows ? [".exe", ".cmd", ""] : [""]) {
      const file = join(folder, name + ending);
      if (isExecutable(file)) return file;
    }
  }
  return null;
}

export function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** What a program prints on stdout, trimmed, or null when it fails or is not there. */
export function capture(command, args, { timeoutMs = 60_000, ...options } = {}) {
  const result = spawnSync(command, args, {
    encoding: "utf8",
    timeout: timeoutMs,
    stdio: ["ignore", "pipe", "pipe"],
    ...options,
  });
  return result.status === 0 ? result.stdout.trim() : null;
}

/**
 * Runs a program with its output on ours.
 *
 * @param options.tee Called with each piece of stdout, which is still shown.
 * @param options.quiet Keep the output back unless it fails.
 * @throws When it exits with another status than 0.
 */
export function run(command, args, { cwd = root, env = process.env, tee, quiet = false } = {}) {
  return new Promise((resolve, reject) => {
    const piped = tee !== undefined || quiet;
    const child = spawn(command, args, {
      cwd,
      env,
      shell: isWindows && !command.endsWith(".exe"),
      stdio: ["ignore", piped ? "pipe" : "inherit", quiet ? "pipe" : "inherit"],
    });
    const held = [];
    const take = (piece) => {
      if (quiet) held.push(piece);
      else process.stdout.write(piece);
      tee?.(piece.toString());
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) return resolve();
      for (const piece of held) process.stderr.write(piece);
      reject(new Error(`${command} ${args.join(" ")}: ${signal ?? `exit status ${code}`}`));
    });
  });
}

/** Whether a host answers at all, within a few seconds. Any HTTP status counts. */
export async function isReachable(url, timeoutMs = 5000) {
  try {
    await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(timeoutMs) });
    return true;
  } catch {
    return false;
  }
}

/** Runs a program of node_modules/.bin without npx. */
export function bin(name) {
  return join(root, "node_modules", ".bin", isWindows ? `${name}.cmd` : name);
}

export const isRoot = process.getuid?.() === 0;

/** Installs Debian packages, when this machine has apt-get and lets us use it. @returns success */
export async function aptInstall(packages) {
  if (!isRoot || which("apt-get") === null) return false;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const install = ["install", "-y", "--no-install-recommends", ...packages];
  say(`apt-get ${install.join(" ")}`);
  try {
    await run("apt-get", ["update", "-qq"], { env, quiet: true });
    await run("apt-get", install, { env, quiet: true });
    return true;
  } catch (error) {
    say(`apt-get failed: ${error.message}`);
    return false;
  }
}
