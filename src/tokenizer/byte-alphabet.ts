/**
 * GPT-2's alphabet: the visible character that stands for each byte. Printable Latin-1 stands for
 * itself, the other 68 bytes are, in order, U+0100 and on.
 */
export function byteAlphabet(): string[] {
  let nShifted = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
    return String.fromCharCode(isPrintable ? byte : 0x100 + nShifted++);
  });
}
