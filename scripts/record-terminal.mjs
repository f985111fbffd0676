// Runs a command in a pseudo terminal and keeps its last screen as an SVG that needs nothing else.
//
//   node scripts/record-terminal.mjs [--out FILE] [--columns N] [--rows N] [--title TEXT] -- COMMAND ...
//
// For the README: node scripts/record-terminal.mjs --title "npm start" -- node scripts/start.mjs
// Needs python3 (for the pseudo terminal). Paths below this folder and the home folder are shortened.
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { root, say } from "./lib/run.mjs";
import { Screen } from "./lib/screen.mjs";
import { screenToSvg } from "./lib/screen-svg.mjs";

/** Runs argv[3:] in a terminal of argv[1] columns and argv[2] rows, and leaves with its status. */
const PTY = `
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    size = struct.pack("HHHH", int(sys.argv[2]), int(sys.argv[1]), 0, 0)
    fcntl.ioctl(0, termios.TIOCSWINSZ, size)
    os.execvp(sys.argv[3], sys.argv[3:])
while True:
    try:
        data = os.read(fd, 65536)
    except OSError:
        break
    if not data:
        break
    os.write(1, data)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

const options = {
  out: { type: "string", default: join(root, "docs", "npm-start.svg") },
  columns: { type: "string", default: "92" },
  rows: { type: "string", default: "40" },
  title: { type: "string" },
};

try {
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (positionals.length === 0) throw new Error("Cannot record: give a command after --");
  const size = { columns: Number(values.columns), rows: Number(values.rows) };
  const title = values.title ?? positionals.join(" ");
  const output = await record(positionals, size);
  const screen = new Screen(size);
  screen.write(`\x1b[2m$\x1b[0m \x1b[1m${title}\x1b[0m\r\n`);
  screen.write(shorten(output));
  mkdirSync(dirname(values.out), { recursive: true });
  writeFileSync(values.out, screenToSvg(screen.lines(), { ...size, title }));
  say(`Wrote ${values.out}`);
} catch (error) {
  say(error.message);
  process.exitCode = 1;
}

function record(command, { columns, rows }) {
  return new Promise((resolve, reject) => {
    const args = ["-c", PTY, String(columns), String(rows), ...command];
    const env = { ...process.env, TERM: "xterm-256color" };
    const child = spawn("python3", args, { cwd: root, env, stdio: ["ignore", "pipe", "inherit"] });
    const chunks = [];
    child.on("error", (cause) => reject(new Error(`Cannot run python3: ${cause.message}`)));
    child.stdout.on("data", (chunk) => {
      chunks.push(chunk);
      process.stdout.write(chunk);
    });
    child.on("close", (code) => {
      if (code === 0) resolve(Buffer.concat(chunks).toString("utf8"));
      else reject(new Error(`Cannot record: the command left with ${code}`));
    });
  });
}

function shorten(text) {
  return text.replaceAll(`${root.replace(/\/$/, "")}/`, "").replaceAll(homedir(), "~");
}
