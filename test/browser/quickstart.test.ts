// The page of docs/quickstart-browser.md, exactly, in a folder with the package as it would be published.
// Needs a built dist/ and KVASIR_CHROMIUM, the path of a Chromium.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { requireGolden } from "../support/golden.ts";
import { answer } from "../support/sessions.ts";
import { openToy, WASM_Q8 } from "../support/toys.ts";
import { launch, openSite } from "./site.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "kvasir-quickstart-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** What `npm install` of the packed package makes of the folder. */
function install(): void {
  const pack = ["pack", "--ignore-scripts", "--pack-destination", folder];
  const printed = execFileSync("npm", pack, { cwd: root, stdio: ["ignore", "pipe", "ignore"] });
  const tarball = String(printed).trim().split("\n").at(-1) ?? "";
  const target = join(folder, "node_modules", "kvasir");
  mkdirSync(target, { recursive: true });
  execFileSync("tar", ["-xzf", join(folder, tarball), "-C", target, "--strip-components=1"]);
}

describe("docs/quickstart-browser.md", () => {
  const guide = readFileSync(join(root, "docs", "quickstart-browser.md"), "utf8");
  const html = /^```html\n(.*?)^```$/ms.exec(guide)?.[1] ?? "";

  it("has a page of about 20 lines", () => {
    expect(html.trimEnd().split("\n").length).toBeLessThanOrEqual(24);
  });

  it.each([false, true])("answers, cross-origin isolated: %s", async (isIsolated) => {
    install();
    writeFileSync(join(folder, "index.html"), html);
    copyFileSync(requireGolden("toys/toy-llama.gguf"), join(folder, "model.gguf"));
    const errors: string[] = [];
    const site = await openSite({ isIsolated, root: folder });
    const browser = await launch();
    const page = await browser.newPage();
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" && !message.location().url.endsWith("favicon.ico")) {
        errors.push(message.text());
      }
    });
    await page.goto(`${site.url}index.html`);
    await expect.poll(() => page.textContent("output"), { timeout: 20_000 }).toBe("Ready.");
    await page.fill("input", "One lamp burned. Two ships came in. ".repeat(6));
    await page.click("button");

    const toy = await openToy("toy-llama", WASM_Q8);
    const session = toy.session({ method: "snapkv", budget: { keep: 0.2 } });
    const text = "One lamp burned. Two ships came in. ".repeat(6);
    const { done } = await answer(session, text, { maxTokens: 128 });
    toy.dispose();
    await expect.poll(() => page.textContent("output"), { timeout: 20_000 }).toBe(done.text);
    expect(done.text.length).toBeGreaterThan(50);
    expect(errors).toEqual([]);
    await browser.close();
    await site.close();
  });
});
