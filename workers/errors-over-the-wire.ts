// Errors across postMessage: what comes out has the class, `code`, message, cause and stack of what went in.
// Structured clone keeps neither a class of ours nor fields that are not Error's own.
import { transferHandlers } from "comlink";
import { type ErrorCode, KvasirError } from "../src/errors.ts";

/** An error as plain data. */
export type WireError =
  | {
      readonly kind: "error";
      readonly name: string;
      readonly message: string;
      readonly stack: string | undefined;
      readonly code: ErrorCode | undefined;
      /** null: none. */
      readonly cause: WireError | null;
    }
  /** Anything else that can be thrown, such as the reason of an abort. */
  | { readonly kind: "value"; readonly value: unknown };

/** Causes of causes; a chain that is longer, or a ring, is cut here. */
const MAX_DEPTH = 8;

export function errorToWire(error: unknown, depth = 0): WireError {
  if (!(error instanceof Error)) return { kind: "value", value: cloneable(error) };
  const { name, message, stack, cause } = error;
  const code = error instanceof KvasirError ? error.code : undefined;
  const hasCause = cause !== undefined && depth < MAX_DEPTH;
  const inner = hasCause ? errorToWire(cause, depth + 1) : null;
  return { kind: "error", name, message, stack, code, cause: inner };
}

export function errorFromWire(wire: WireError): unknown {
  if (wire.kind === "value") return wire.value;
  const { name, message, stack, code, cause } = wire;
  const options = cause === null ? {} : { cause: errorFromWire(cause) };
  const error =
    code === undefined ? new Error(message, options) : new KvasirError(code, message, options);
  if (error.name !== name) Object.defineProperty(error, "name", { value: name });
  if (stack !== undefined) Object.defineProperty(error, "stack", { value: stack });
  return error;
}

let areKept = false;

/** Makes comlink's calls throw such errors; on both sides, before the first call. */
export function keepErrors(): void {
  if (areKept) return;
  const own = transferHandlers.get("throw");
  if (own === undefined) throw new Error("Broken invariant: comlink handles what is thrown");
  areKept = true;
  transferHandlers.set("throw", {
    canHandle: (value): value is { readonly value: unknown } => own.canHandle(value),
    serialize: ({ value }: { readonly value: unknown }) => [errorToWire(value), []],
    deserialize: (wire: WireError) => {
      throw errorFromWire(wire);
    },
  });
}

function cloneable(value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch {
    return String(value);
  }
}
