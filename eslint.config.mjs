import eslint from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

const noDefaultExport = {
  selector: "ExportDefaultDeclaration",
  message: "Name what you export.",
};

export default defineConfig(
  globalIgnores(["dist/", "node_modules/", "rust-kernels/", ".cache/", "shared/", "test/golden/"]),
  eslint.configs.recommended,
  {
    rules: {
      "no-console": "error",
      eqeqeq: ["error", "always"],
      "max-lines": ["error", 400],
      "max-lines-per-function": ["error", { max: 80, skipComments: true }],
      complexity: ["warn", 12],
    },
  },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": [
        "error",
        { argsIgnorePattern: "^_", varsIgnorePattern: "^_" },
      ],
      "@typescript-eslint/await-thenable": "off", // `await x?.()` is fine
      "@typescript-eslint/require-await": "off", // an async function also turns a throw into a rejection
    },
  },
  {
    files: ["src/**/*.ts", "workers/**/*.ts", "cli/**/*.ts", "bench/**/*.ts"],
    ignores: ["**/*.d.ts"],
    rules: { "no-restricted-syntax": ["error", noDefaultExport] },
  },
  {
    // A suite is one function with many tests in it.
    files: ["test/**/*.ts"],
    rules: {
      "max-lines-per-function": "off",
      "max-lines": ["error", 600],
      "no-control-regex": "off",
      "@typescript-eslint/unbound-method": "off",
      "@typescript-eslint/no-unsafe-assignment": "off", // expect.any() and parsed goldens are any
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
    },
  },
  {
    files: ["**/*.mjs", "vitest.config.ts"],
    languageOptions: {
      globals: Object.fromEntries(
        [
          "process",
          "console",
          "Buffer",
          "fetch",
          "AbortController",
          "AbortSignal",
          "performance",
          "URL",
        ]
          .concat(["setTimeout", "clearTimeout", "WebAssembly", "TextDecoder", "Response"])
          .map((name) => [name, "readonly"]),
      ),
    },
  },
  { files: ["cli/**", "demo/**", "bench/**", "scripts/**"], rules: { "no-console": "off" } },
);
