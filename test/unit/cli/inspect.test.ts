import { describe, expect, it, vi } from "vitest";
import type { CommandIo } from "../../../cli/command.ts";
import { describeGguf } from "../../../cli/describe-gguf.ts";
import { formatReport, inspectCommand } from "../../../cli/inspect.ts";
import { UsageError } from "../../../cli/options.ts";
import { KvasirError } from "../../../src/errors.ts";
import { parseGguf } from "../../../src/gguf/parse.ts";
import { BufferSource } from "../../../src/gguf/sources.ts";
import { scalar, type WriterValue, writeGguf } from "../../support/gguf-writer.ts";

const GEMMA: Record<string, WriterValue> = {
  "general.architecture": "gemma3",
  "general.name": "tiny",
  "gemma3.block_count": 6,
  "gemma3.embedding_length": 64,
  "gemma3.feed_forward_length": 96,
  "gemma3.attention.head_count": 4,
  "gemma3.attention.head_count_kv": 2,
  "gemma3.attention.sliding_window": 16,
  "gemma3.attention.layer_norm_rms_epsilon": scalar("f32", 1e-6),
  "gemma3.context_length": 1000,
  "tokenizer.ggml.model": "llama",
  "tokenizer.ggml.tokens": ["<pad>", "<eos>", "<bos>", "x"],
  "tokenizer.ggml.scores": new Float32Array(4),
  "tokenizer.ggml.token_type": new Int32Array([3, 3, 3, 1]),
  "tokenizer.ggml.bos_token_id": 2,
  "tokenizer.ggml.eos_token_id": 1,
  "tokenizer.ggml.add_bos_token": true,
  "tokenizer.chat_template": "{{ bos_token }}\u001b[31m\nsecond line",
};
const TENSORS = [
  { name: "token_embd.weight", type: "Q8_0", dims: [64, 4] },
  { name: "output_norm.weight", type: "F32", dims: [64] },
  { name: "blk.0.attn_norm.weight", type: "F32", dims: [64] },
] as const;

function bytesOf(change: Record<string, WriterValue> = {}): Uint8Array {
  return writeGguf({ metadata: { ...GEMMA, ...change }, tensors: TENSORS });
}

async function reportOf(change: Record<string, WriterValue> = {}) {
  return describeGguf(await parseGguf(new BufferSource(bytesOf(change), "tiny.gguf")));
}

describe("describeGguf", () => {
  it("counts tensors by type, largest first, and all parameters", async () => {
    const report = await reportOf();
    expect(report.parameters).toBe(64 * 4 + 128);
    expect(report.tensors).toEqual({
      count: 3,
      bytes: 512 + 272,
      types: [
        { type: "F32", count: 2, bytes: 512 },
        { type: "Q8_0", count: 1, bytes: 272 },
      ],
    });
  });

  it("tells model, tokenizer and template", async () => {
    const report = await reportOf();
    expect(report).toMatchObject({
      architecture: "gemma3",
      name: "tiny",
      license: null,
      problems: [],
    });
    expect(report.model).toMatchObject({
      nLayers: 6,
      nSlidingLayers: 5,
      slidingWindow: 16,
      ropeBase: 1e6,
    });
    expect(report.tokenizer).toEqual({
      model: "llama",
      pre: null,
      vocabSize: 4,
      bos: { id: 2, text: "<bos>" },
      eos: { id: 1, text: "<eos>" },
      addsBos: true,
    });
    expect(report.chatTemplate).toEqual({ firstLine: "{{ bos_token }}\u001b[31m", characters: 32 });
  });

  it("counts the cache: sliding layers hold no more than their window", async () => {
    const { cache } = await reportOf();
    // 2 kv heads of head dim 16: 64 values of keys and values for each layer and token.
    expect(cache?.rowsPerToken).toBe(12);
    expect(cache?.codecs).toEqual([
      {
        codec: "f32",
        perToken: 6 * 256,
        perTokenPastWindow: 256,
        fullContext: (1000 + 5 * 16) * 256,
      },
      {
        codec: "f16",
        perToken: 6 * 128,
        perTokenPastWindow: 128,
        fullContext: (1000 + 5 * 16) * 128,
      },
      { codec: "q8", perToken: 6 * 80, perTokenPastWindow: 80, fullContext: (1000 + 5 * 16) * 80 },
    ]);
  });

  it("describes what it can of a model that does not run, with the reason", async () => {
    const report = await reportOf({ "general.architecture": "mamba" });
    expect(report).toMatchObject({ architecture: "mamba", model: null, cache: null });
    expect(report.tensors.count).toBe(3);
    expect(report.problems).toEqual([
      expect.stringContaining('architecture "mamba" is not among those'),
    ]);
  });

  it("describes a file with nothing in it", async () => {
    const report = describeGguf(await parseGguf(new BufferSource(writeGguf({}))));
    expect(report).toMatchObject({
      architecture: null,
      parameters: 0,
      tokenizer: null,
      chatTemplate: null,
    });
    expect(formatReport(report)).toContain(
      'problem       Cannot read GGUF "buffer": key "general.architecture" is missing',
    );
  });
});

describe("formatReport", () => {
  it("lines up labels and values", async () => {
    expect(formatReport(await reportOf())).toMatchInlineSnapshot(`
      "file          tiny.gguf (1.84 KiB, GGUF 3)
      name          tiny
      architecture  gemma3
      license       none
      parameters    384 in 3 tensors
      tensor types  F32        2      512 B
                    Q8_0       1      272 B
      layers        6 of hidden size 64, FFN 96 (gelu-tanh)
      heads         4, 2 kv heads, head dim 16
      context       1,000 tokens
      rope          base 1,000,000, half
      sliding       5 of 6 layers see 16 tokens
      features      q/k norm, post norms, tied output
      tokenizer     llama, 4 tokens
      bos           2 <bos>, put in front
      eos           1 <eos>
      chat template 32 characters: {{ bos_token }}\\u{1b}[31m
      kv cache      f32 1.50 KiB a token (256 B past the window), 270 KiB at 1,000
                    f16 768 B a token (128 B past the window), 135 KiB at 1,000
                    q8  480 B a token (80 B past the window), 84.4 KiB at 1,000
      "
    `);
  });

  it("shows control characters of the file as escapes", async () => {
    const text = formatReport(await reportOf({ "general.name": "a\u001b]0;title\u0007\nb" }));
    expect(text).toContain("name          a\\u{1b}]0;title\\u{7}\\u{a}b\n");
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
  });
});

describe("kvasir inspect", () => {
  function fakeIo(files: Readonly<Record<string, Uint8Array>>) {
    let text = "";
    const close = vi.fn(async () => {});
    const openByteSource = vi.fn(async (name: unknown) => {
      const bytes = files[String(name)];
      if (!bytes) throw new KvasirError("not-found", `Cannot open "${String(name)}"`);
      return Object.assign(new BufferSource(bytes, String(name)), { close });
    });
    const io = {
      out: (more: string) => void (text += more),
      err: vi.fn(),
      isTty: false,
      columns: 80,
      runtime: { name: "other", hardwareThreads: 1, openByteSource, loadKernels: vi.fn() },
      signal: new AbortController().signal,
    } satisfies CommandIo;
    return { io, close, output: () => text };
  }

  it.each([[["a.gguf"]], [["--model", "a.gguf"]], [["-m", "a.gguf"]]])(
    "prints the report for %j",
    async (args) => {
      const { io, close, output } = fakeIo({ "a.gguf": bytesOf() });
      expect(await inspectCommand.run(args, io)).toBe(0);
      expect(output()).toMatch(/^file {10}a\.gguf \(/);
      expect(close).toHaveBeenCalledTimes(1);
    },
  );

  it("prints JSON alone with --json", async () => {
    const { io, output } = fakeIo({ "a.gguf": bytesOf() });
    await inspectCommand.run(["a.gguf", "--json"], io);
    expect(JSON.parse(output())).toEqual(
      describeGguf(await parseGguf(new BufferSource(bytesOf(), "a.gguf"))),
    );
  });

  it("opens all shards and closes them", async () => {
    const shard = (no: number, tensors: typeof TENSORS | []) =>
      writeGguf({
        metadata: {
          ...(no === 0 ? GEMMA : {}),
          "split.no": no,
          "split.count": 2,
          "split.tensors.count": 3,
        },
        tensors,
      });
    const { io, close, output } = fakeIo({
      "m-00001-of-00002.gguf": shard(0, []),
      "m-00002-of-00002.gguf": shard(1, TENSORS),
    });
    await inspectCommand.run(["m-00001-of-00002.gguf"], io);
    expect(output()).toContain("2 files");
    expect(output()).toContain("in 3 tensors");
    expect(close).toHaveBeenCalledTimes(2);
  });

  it("closes the file when it is broken", async () => {
    const { io, close } = fakeIo({ "a.gguf": bytesOf().subarray(0, 50) });
    await expect(inspectCommand.run(["a.gguf"], io)).rejects.toMatchObject({ code: "bad-gguf" });
    expect(close).toHaveBeenCalledTimes(1);
  });

  it.each([
    [[]],
    [["--json"]],
    [["a.gguf", "b.gguf"]],
    [["a.gguf", "-m", "b.gguf"]],
    [["a.gguf", "--what"]],
  ])("refuses the arguments %j", async (args) => {
    const { io } = fakeIo({ "a.gguf": bytesOf() });
    await expect(inspectCommand.run(args, io)).rejects.toThrow(UsageError);
  });
});
