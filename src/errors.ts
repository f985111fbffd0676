/** Everything that a caller may want to catch, by a code that stays the same over releases. */
export type ErrorCode =
  | "bad-gguf" // the file breaks the GGUF format
  | "unsupported-model" // a valid file that kvasir cannot run: architecture, tensor type, tokenizer
  | "unsupported-option" // options that exclude each other, or that this model or engine cannot honour
  | "bad-option" // an option outside its range
  | "bad-snapshot" // a saved session that is damaged or belongs to another model
  | "not-found" // file, URL, model or method that does not exist
  | "network" // a download failed for good
  | "checksum" // bytes differ from the expected SHA-256
  | "out-of-memory" // does not fit; the message holds both numbers
  | "storage-full" // no room to store a model; the message holds both numbers
  | "device-lost" // the GPU went away
  | "engine-failed" // the GPU refused what it was asked to compute; the message holds its words
  | "worker-lost" // the worker that held the model ended or could not start
  | "cache-full" // the rows that a session may hold are used up
  | "busy" // the session is already generating
  | "disposed" // used after dispose
  | "unavailable" // the platform lacks something: WebAssembly SIMD, a GPU, threads
  | "version-mismatch" // files of two builds of kvasir lie beside each other
  | "aborted"; // the caller's AbortSignal fired; `cause` is its reason

/**
 * The one error class of kvasir.
 *
 * The message reads "Cannot <action>: <what is wrong>, got <value>"; `code` tells the kind.
 */
export class KvasirError extends Error {
  override readonly name = "KvasirError";
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Throws when an invariant of our own is broken; never used for a caller's mistakes. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Broken invariant: ${message}`);
}

/** Throws `aborted`, with the signal's reason as cause, when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined, action: string): void {
  if (signal?.aborted) {
    throw new KvasirError("aborted", `Cannot ${action}: aborted`, { cause: signal.reason });
  }
}
