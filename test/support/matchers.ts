// Distances between tensors.

let nmseObserver: ((value: number) => void) | null = null;

/** Has `observer` told every NMSE from now on, for reports of what was measured; null ends it. */
export function observeNmse(observer: typeof nmseObserver): void {
  nmseObserver = observer;
}

/** Tells the observer an NMSE that was computed elsewhere. */
export function noteNmse(value: number): void {
  nmseObserver?.(value);
}

/** sum (a - b)^2 / sum b^2; 0 for equal arrays, whatever the denominator. */
export function nmse(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  checkLengths(actual, expected);
  let [error, total] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [actual[i] as number, expected[i] as number];
    error += (a - b) ** 2;
    total += b * b;
  }
  const value = error === 0 ? 0 : error / total;
  noteNmse(value);
  return value;
}

/** The largest |a - b|; NaN where either has one. */
export function maxAbs(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  checkLengths(actual, expected);
  let max = 0;
  for (let i = 0; i < expected.length; i++) {
    max = Math.max(max, Math.abs((actual[i] as number) - (expected[i] as number)));
  }
  return max;
}

/** |a - b| <= atol + rtol |b| everywhere. */
export function allclose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { atol = 0, rtol = 0 }: { readonly atol?: number; readonly rtol?: number },
): boolean {
  checkLengths(actual, expected);
  return Array.from(expected).every(
    (b, i) => Math.abs((actual[i] as number) - b) <= atol + rtol * Math.abs(b),
  );
}

function checkLengths(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  if (actual.length !== expected.length) {
    throw new RangeError(
      `Cannot compare arrays: ${expected.length} elements are expected, got ${actual.length}`,
    );
  }
}
