import { encodeValue } from '../../model/document.ts';

export interface CapturesOptions {
  /** Captures what was done to documents; false when it cannot be told now. */
  readonly capture: (collection: string, ids: readonly unknown[]) => Promise<boolean>;
}

interface Batch {
  readonly ids: Map<string, unknown>;
  readonly done: PromiseWithResolvers<boolean>;
}

/** Captures the writes of a process, those of one collection that come meanwhile together. */
export class Captures {
  readonly #options: CapturesOptions;
  readonly #waiting = new Map<string, Batch>();
  readonly #busy = new Set<string>();

  constructor(options: CapturesOptions) {
    this.#options = options;
  }

  /** Whether what was done to these documents before the call is in the log when it resolves. Never rejects. */
  capture(collection: string, ids: readonly unknown[]): Promise<boolean> {
    const batch = this.#waiting.get(collection) ?? { ids: new Map(), done: Promise.withResolvers<boolean>() };
    this.#waiting.set(collection, batch);
    for (const id of ids) batch.ids.set(encodeValue(id), id);
    if (!this.#busy.has(collection)) void this.#work(collection);
    return batch.done.promise;
  }

  async #work(collection: string): Promise<void> {
    this.#busy.add(collection);
    for (let batch = this.#waiting.get(collection); batch !== undefined; batch = this.#waiting.get(collection)) {
      this.#waiting.delete(collection);
      const { ids, done } = batch;
      done.resolve(await this.#options.capture(collection, [...ids.values()]).catch(() => false));
    }
    this.#busy.delete(collection);
  }
}
