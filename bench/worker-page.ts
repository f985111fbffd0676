// Pages: the runner calls `runJob` and gets the reply as a value.
import type { Job, Reply } from "./job.ts";
import { runJob } from "./worker.ts";

const version = /(?:Headless)?Chrome\/([\d.]+)/.exec(navigator.userAgent)?.[1] ?? "unknown";

async function openModel(url: string): Promise<Blob> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`Cannot fetch "${url}": status ${answer.status}`);
  return answer.blob();
}

const page = globalThis as { runJob?: (job: Job) => Promise<Reply> };
page.runJob = (job) => runJob(job, { runtime: `chromium ${version}`, openModel });
