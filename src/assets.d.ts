// Files that the build takes in as they are.
declare module "*.wgsl" {
  const source: string;
  export default source;
}

/** Only on workerd, where a WebAssembly file is imported as a compiled module. */
declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}
