// Two programs that open the same model at once, each a process of its own.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { buildSync } from "esbuild";
import { expect, it } from "vitest";
import { startFaultServer } from "../../support/fault-server.ts";
import { pattern } from "./pattern.ts";

const source = fileURLToPath(new URL("../../../src/runtime", import.meta.url));

/** Opens a URL through the store of a folder, and prints the hash of what it reads. */
const PROGRAM = `
  import { createHash } from "node:crypto";
  import { createFsDriver } from "${source}/storage/fs.ts";
  import { createModelStore } from "${source}/store/model-store.ts";
  const [folder, url] = process.argv.slice(2);
  const file = await createModelStore(createFsDriver(folder)).open(url, { revalidate: false });
  console.log(createHash("sha256").update(await file.read(0, file.size)).digest("hex"));
  await file.close();
`;

it("download a model once", async () => {
  const folder = await mkdtemp(join(tmpdir(), "kvasir-processes-"));
  const bytes = pattern(9_000_001);
  const server = await startFaultServer(bytes, { paceMs: 2 });
  const program = join(folder, "program.mjs");
  buildSync({
    stdin: { contents: PROGRAM, resolveDir: source, loader: "ts" },
    bundle: true,
    platform: "node",
    format: "esm",
    outfile: program,
  });
  try {
    const run = () =>
      promisify(execFile)(process.execPath, [program, join(folder, "store"), server.url]);
    const outputs = await Promise.all([run(), run()]);
    const hash = createHash("sha256").update(bytes).digest("hex");
    expect(outputs.map(({ stdout }) => stdout.trim())).toEqual([hash, hash]);
    expect(server.ranges).toEqual(["bytes=0-"]);
    expect((await readdir(join(folder, "store"))).length).toBe(2); // record and data, no lock
  } finally {
    await server.close();
    await rm(folder, { recursive: true });
  }
});
