// A GPU for tests on machines that have none: Chromium brings SwiftShader, a Vulkan driver that
// computes on the CPU, and a Vulkan loader; Dawn (the package `webgpu`) finds both from here.
import { existsSync, realpathSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";

const DRIVER = "vk_swiftshader_icd.json";
const LOADER = "libvulkan.so.1";
/** glibc's RTLD_NODELETE: the loader stays although it is no module of Node. */
const KEEP = 0x1000;

/** Must run in the main thread before Dawn asks for an adapter. Without a Chromium nothing changes. */
export function useSoftwareVulkan(): void {
  const folder = chromiumFolder();
  if (folder === undefined || process.platform !== "linux") return;
  process.env["VK_ICD_FILENAMES"] ??= join(folder, DRIVER);
  const loader = join(folder, LOADER);
  if (!existsSync(loader)) return; // the system's own
  process.env["LD_LIBRARY_PATH"] = libraryPath(folder); // where the runtime looks for it
  try {
    process.dlopen({ exports: {} }, loader, constants.dlopen.RTLD_NOW | KEEP);
  } catch {
    // "Module did not self-register": it is loaded all the same.
  }
}

/** What a program that is started needs in its environment for the same. */
export function softwareVulkanEnv(): NodeJS.ProcessEnv {
  const folder = chromiumFolder();
  if (folder === undefined || process.platform !== "linux") return { ...process.env };
  return {
    VK_ICD_FILENAMES: join(folder, DRIVER),
    ...process.env,
    LD_LIBRARY_PATH: libraryPath(folder),
  };
}

function libraryPath(folder: string): string {
  return [folder, process.env["LD_LIBRARY_PATH"]].filter(Boolean).join(delimiter);
}

function chromiumFolder(): string | undefined {
  const asked = process.env["KVASIR_CHROMIUM"];
  const programs = (process.env["PATH"] ?? "")
    .split(delimiter)
    .flatMap((folder) =>
      ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"].map((name) =>
        join(folder, name),
      ),
    );
  const folders = [asked, ...programs]
    .filter((path) => path !== undefined && path !== "" && existsSync(path))
    .map((path) => dirname(realpathSync(path as string)));
  // Debian's program is a script; what it starts lies elsewhere.
  return [...folders, "/usr/lib/chromium"].find((folder) => existsSync(join(folder, DRIVER)));
}
