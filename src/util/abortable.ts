/**
 * The items of an iterable that ends with a signal, as an iterator whose `return` ends it at once: a generator that
 * waits for its next item would only notice after it.
 */
export function abortable<T>(
  signal: AbortSignal,
  open: (signal: AbortSignal) => AsyncIterable<T>,
): AsyncIterableIterator<T> {
  const controller = new AbortController();
  const items = open(AbortSignal.any([signal, controller.signal]))[Symbol.asyncIterator]();
  return {
    next: () => items.next(),
    async return() {
      controller.abort();
      await items.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
