import type { PubSub } from './pubsub.ts';

/** {@link PubSub} within one process. Listeners run in the order they came, after the publisher's turn. */
export class InProcessPubSub implements PubSub {
  readonly #listeners = new Map<string, Set<(message: string) => void>>();

  async publish(topic: string, message: string): Promise<void> {
    await Promise.resolve();
    for (const listener of [...(this.#listeners.get(topic) ?? [])]) listener(message);
  }

  async subscribe(topic: string, listener: (message: string) => void): Promise<() => void> {
    const listeners = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, listeners);
    // A place of its own for each subscription: the same function may be given twice.
    const place = (message: string): void => listener(message);
    listeners.add(place);
    return () => {
      listeners.delete(place);
      if (listeners.size === 0 && this.#listeners.get(topic) === listeners) this.#listeners.delete(topic);
    };
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }
}
