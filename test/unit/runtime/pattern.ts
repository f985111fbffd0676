/** Bytes that repeat nowhere within a test: a lost or doubled piece shows. */
export function pattern(byteLength: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(byteLength / 4));
  for (let i = 0; i < words.length; i += 1) words[i] = Math.imul(i + 1, 2654435761);
  return new Uint8Array(words.buffer, 0, byteLength);
}

/** `count` lengths in [0, limit), by a seed. */
export function seededCuts(seed: number, count: number, limit: number): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  });
}
