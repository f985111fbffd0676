// Pages: the runner calls `runJob` and gets the reply as a value.
import type { Job, Reply } from "./job.ts";
import { type Package, runJob } from "./worker.ts";

const version = /(?:Headless)?Chrome\/([\d.]+)/.exec(navigator.userAgent)?.[1] ?? "unknown";

async function openModel(url: string, built: Package, { settings }: Job): Promise<Blob | string> {
  if (settings.fromStore === true) {
    const first = await built.load(url, { store: true, threads: 1 });
    first.dispose();
    return url;
  }
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`Cannot fetch "${url}": status ${answer.status}`);
  return answer.blob();
}

const page = globalThis as { runJob?: (job: Job) => Promise<Reply> };
page.runJob = (job) => runJob(job, { runtime: `chromium ${version}`, openModel });
