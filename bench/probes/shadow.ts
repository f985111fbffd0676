// Listening to a loaded model's own objects: a method is replaced by one that also looks.

export type Call = (...values: unknown[]) => unknown;

/** Replaces `target[name]` by `wrap` of it. @returns What undoes that. */
export function shadow<T extends object>(
  target: T,
  name: keyof T & string,
  wrap: (original: Call) => Call,
): () => void {
  const own = Object.getOwnPropertyDescriptor(target, name);
  const original = (target[name] as Call).bind(target);
  Object.defineProperty(target, name, { value: wrap(original), configurable: true });
  return () => {
    if (own === undefined) Reflect.deleteProperty(target, name);
    else Object.defineProperty(target, name, own);
  };
}
