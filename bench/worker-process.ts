// Node and Deno: the job is a file named by the first argument, the reply a line on stdout.
import { readFileSync } from "node:fs";
import process from "node:process";
import type { Job } from "./job.ts";
import { runJob } from "./worker.ts";

const { deno } = process.versions as { deno?: string };
const runtime = deno === undefined ? `node ${process.versions.node}` : `deno ${deno}`;
const job = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Job;
const reply = await runJob(job, { runtime, openModel: async (path) => path });
process.stdout.write(`${JSON.stringify(reply)}\n`, () => process.exit(0));
