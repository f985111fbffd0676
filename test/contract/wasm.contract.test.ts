import { readFile } from "node:fs/promises";
import { createWasmEngine } from "../../src/engine/wasm/create.ts";
import { engineContract, q8Contract } from "./engine.contract.ts";
import { Q8_TOLERANCES } from "./rig.ts";

const KERNELS = new URL("../../dist/kernels/simd128/kvasir_kernels_bg.wasm", import.meta.url);
const module = await WebAssembly.compile(await readFile(KERNELS));

engineContract("wasm f32", async () => createWasmEngine({ module, activations: "f32" }));
engineContract(
  "wasm q8",
  async () => createWasmEngine({ module, activations: "q8" }),
  Q8_TOLERANCES,
);
q8Contract("wasm", async () => createWasmEngine({ module, activations: "q8" }));
