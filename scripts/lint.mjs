// `npm run lint`: rules, format, layers. Runs all of them before it fails.
import { join } from "node:path";
import { bin, root, run, say } from "./lib/run.mjs";

const checks = {
  "import layers": [join(root, "scripts", "check-layers.mjs")],
  shaders: [join(root, "scripts", "check-shaders.mjs")],
  eslint: [bin("eslint"), "--cache", "--cache-location", ".cache/eslint", "."],
  prettier: [
    bin("prettier"),
    "--check",
    "--log-level=warn",
    "--cache",
    "--cache-location",
    ".cache/prettier",
    ".",
  ],
};

for (const [name, args] of Object.entries(checks)) {
  try {
    await run(process.execPath, args);
  } catch {
    say(`${name}: not clean`);
    process.exitCode = 1;
  }
}
