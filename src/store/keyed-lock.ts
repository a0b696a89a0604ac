/** What holders of one lock leave to the next. */
export interface Slot<T> {
  /** What the last holder knew; undefined for the first. */
  known: T | undefined;
}

interface Queue<T> extends Slot<T> {
  tail: Promise<unknown>;
  waiting: number;
}

/** Serialises work on equal keys inside this process, in the order of arrival. A key that nobody uses takes no memory. */
export class KeyedLock<T> {
  readonly #queues = new Map<string, Queue<T>>();

  /** Runs `work` when all that came before under `key` is done; each may pass something on while others wait. */
  async run<R>(key: string, work: (slot: Slot<T>) => Promise<R>): Promise<R> {
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      queue = { tail: Promise.resolve(), waiting: 0, known: undefined };
      this.#queues.set(key, queue);
    }
    const own = queue;
    own.waiting += 1;
    const running = own.tail.then(() => work(own));
    own.tail = running.catch(() => {});
    try {
      return await running;
    } finally {
      own.waiting -= 1;
      if (own.waiting === 0) this.#queues.delete(key);
    }
  }
}
