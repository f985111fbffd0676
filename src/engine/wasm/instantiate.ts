// Instantiates the kernels without wasm-bindgen's glue: the exports take plain numbers, so nothing
// of it is needed, and a module can come from anywhere (Workers compile theirs at deploy time).

/**
 * Makes an instance of the kernels and returns its exports.
 *
 * @param memory What a build with threads imports as its memory; others have their own.
 */
export function instantiateKernels(
  module: WebAssembly.Module,
  memory?: WebAssembly.Memory,
): WebAssembly.Exports {
  const imports: Record<string, Record<string, WebAssembly.ImportValue>> = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (kind === "memory" && memory === undefined) {
      throw new TypeError("Cannot instantiate the kernels: this build needs a memory");
    }
    const value = kind === "memory" ? memory : importedFunction(name);
    (imports[from] ??= {})[name] = value as WebAssembly.ImportValue;
  }
  return new WebAssembly.Instance(module, imports).exports;
}

/** Only the table of JavaScript values is set up at start; it stays empty, as none is passed. */
function importedFunction(name: string): () => void {
  if (name === "__wbindgen_init_externref_table") return () => {};
  return () => {
    throw new Error(`Broken invariant: the kernels called "${name}"`);
  };
}

/** Bytes of a worker's stack: a product keeps a panel of 28 KiB on it, other kernels a few hundred. */
const STACK_BYTES = 1 << 17;

/** Gives an instance over a shared memory a stack of its own; the first one made has the default. */
export function startThread(exports: WebAssembly.Exports, isFirst = false): void {
  const start = exports["__wbindgen_start"] as ((stackBytes: number) => void) | undefined;
  start?.(isFirst ? 0 : STACK_BYTES);
}
