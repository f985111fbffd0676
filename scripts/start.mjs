// `npm start`: from a fresh checkout to an answer. Sets up what is missing, then runs the command below.
import { join } from "node:path";
import { ensureBuilt } from "./build.mjs";
import { ensureModel } from "./ensure-model.mjs";
import { run, say } from "./lib/run.mjs";
import { checkNode, ensureDependencies } from "./lib/setup.mjs";

const command = (model) => [
  "run",
  ...["--model", model],
  ...["--file", "docs/texts/lighthouse.txt"],
  ...["--prompt", "What does the brass plate beside the door of the tower say?"],
  ...["--method", "snapkv", "--keep", "0.2"],
];

try {
  checkNode();
  await ensureDependencies();
  await ensureBuilt();
  const args = command(await ensureModel("smollm2"));
  say(`kvasir ${args.map((arg) => (/\s/.test(arg) ? JSON.stringify(arg) : arg)).join(" ")}\n`);
  // The command line has said already what went wrong, if anything did.
  const answer = run(process.execPath, [join("dist", "cli.js"), ...args, ...process.argv.slice(2)]);
  await answer.catch(() => (process.exitCode = 1));
} catch (error) {
  say(error.message);
  process.exitCode = 1;
}
