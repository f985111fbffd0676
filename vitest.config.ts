import { defineConfig } from "vitest/config";
import { useSoftwareVulkan } from "./test/support/software-vulkan.ts";

// Browser and runtime suites start programs of their own: scripts/test.mjs asks for them by name
// with KVASIR_SUITES=browser,runtime once those programs are there.
const asked = (process.env["KVASIR_SUITES"] ?? "").split(",");
const optional = ["browser", "runtime", "package"].filter((name) => !asked.includes(name));

// In the main thread: what workers set in their environment, no driver sees.
useSoftwareVulkan();

const wgsl = {
  name: "wgsl",
  transform: (code: string, id: string) =>
    id.endsWith(".wgsl") ? { code: `export default ${JSON.stringify(code)};`, map: null } : null,
};

export default defineConfig({
  plugins: [wgsl],
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["**/node_modules/**", ...optional.map((name) => `test/${name}/**`)],
    pool: "threads",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ["default"],
  },
});
