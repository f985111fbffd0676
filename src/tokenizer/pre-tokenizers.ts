/** How a byte-level BPE cuts text into words before it merges. */
export interface PreTokenizer {
  /** Regular expressions, each applied to the pieces that the one before left; gaps are pieces too. */
  readonly patterns: readonly string[];
  /** A word that is a token of its own is taken whole, whatever the merges say. */
  readonly ignoresMerges: boolean;
  readonly addsBos: boolean;
}

// Unicode's: JavaScript's \s has U+FEFF and lacks U+0085.
const SPACE = "\\p{White_Space}";
const SPACES = `${SPACE}+(?!\\P{White_Space})|${SPACE}+`;
const SIGNS = ` ?[^${SPACE}\\p{L}\\p{N}]+`;

const GPT2_WORDS = `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|${SIGNS}|${SPACES}`;

// Llama 3 and Qwen 2 differ only in how many digits a word may hold.
const llama3Words = (digits: string): string =>
  "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])" +
  `|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}|${SIGNS}[\\r\\n]*` +
  `|${SPACE}*[\\r\\n]+|${SPACES}`;

const plain = (...patterns: string[]): PreTokenizer => ({
  patterns,
  ignoresMerges: false,
  addsBos: false,
});

const GPT2 = plain(GPT2_WORDS);
const SMOLLM = plain("\\p{N}", GPT2_WORDS);
const QWEN2 = plain(llama3Words("\\p{N}"));
const LLAMA3: PreTokenizer = {
  patterns: [llama3Words("\\p{N}{1,3}")],
  ignoresMerges: true,
  addsBos: true,
};
const DEFAULT = plain("[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2_WORDS, "\\p{N}+", "[0-9][0-9][0-9]");

/**
 * The pre-tokenizers by the value of `tokenizer.ggml.pre`.
 *
 * @see llama.cpp, src/llama-vocab.cpp at 00ad355e, `llm_tokenizer_bpe` and `impl::load`.
 */
export const PRE_TOKENIZERS: ReadonlyMap<string, PreTokenizer> = new Map([
  ["default", DEFAULT],
  ["gpt-2", GPT2],
  ["olmo", GPT2],
  ["phi-2", GPT2],
  ["smollm", SMOLLM],
  ["starcoder", SMOLLM],
  ["qwen2", QWEN2],
  ["deepseek-r1-qwen", QWEN2],
  ["llama-bpe", LLAMA3],
  ["llama3", LLAMA3],
  ["llama-v3", LLAMA3],
]);
