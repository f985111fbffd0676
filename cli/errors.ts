import { KvasirError } from "../src/errors.ts";

/** The one line that people see of an error, with its code. */
export function errorLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const oneLine = message.replace(/\s*\n\s*/g, " ");
  return error instanceof KvasirError
    ? `kvasir: ${oneLine} [${error.code}]\n`
    : `kvasir: ${oneLine}\n`;
}
