// A Chromium driven by nothing but its list of tabs: automation tells every page that it is in front, so a
// tab that is really hidden needs a browser without.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromiumPath } from "./site.ts";

export interface RawChromium {
  /** Opens a tab in front of the others. @returns Its id. */
  open(url: string): Promise<string>;
  /** Brings a tab to the front. */
  activate(id: string): Promise<void>;
  close(): Promise<void>;
}

export async function launchRaw(): Promise<RawChromium> {
  const profile = mkdtempSync(join(tmpdir(), "kvasir-chromium-"));
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"];
  const program = spawn(chromiumPath, [...flags, `--user-data-dir=${profile}`, "about:blank"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = new Promise((resolve) => program.once("exit", resolve));
  const port = await new Promise<string>((resolve, reject) => {
    let printed = "";
    program.stderr.on("data", (part) => {
      printed += String(part);
      const found = /ws:\/\/127\.0\.0\.1:(\d+)/.exec(printed)?.[1];
      if (found !== undefined) resolve(found);
    });
    program.once("exit", () => reject(new Error(`Chromium ended: ${printed.slice(-300)}`)));
  });
  const ask = async (path: string): Promise<string> => {
    const answer = await fetch(`http://127.0.0.1:${port}/json/${path}`, { method: "PUT" });
    return answer.text();
  };
  return {
    open: async (url) => (JSON.parse(await ask(`new?${url}`)) as { readonly id: string }).id,
    activate: async (id) => void (await ask(`activate/${id}`)),
    async close() {
      program.kill();
      await ended;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
