import { EventEmitter } from 'node:events';

/**
 * The file of a LOAD DATA LOCAL for the driver `mysql2`, which copies each piece while it is told of it. Unlike a stream of Node this
 * keeps no piece beyond that: its bytes may change when the next one is asked for.
 */
export class LocalFile extends EventEmitter {
  readonly #rows: AsyncIterable<Buffer>;
  #read: Promise<void> | undefined;
  #isClosed = false;
  /** Set while the connection takes no more. */
  #paused: PromiseWithResolvers<void> | undefined;

  constructor(rows: AsyncIterable<Buffer>) {
    super();
    // A driver that lost its connection listens no more, and an error that nobody hears would be thrown.
    this.on('error', () => {});
    this.#rows = rows;
  }

  /** Called by the driver when the server asks for the file. */
  open(): this {
    // The driver listens once it has this.
    this.#read = Promise.resolve().then(() => this.#pump());
    return this;
  }

  pause(): void {
    this.#paused ??= Promise.withResolvers();
  }

  resume(): void {
    this.#paused?.resolve();
    this.#paused = undefined;
  }

  /** Resolves when `rows` has been closed, wherever it was. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.resume();
    await this.#read;
  }

  /** Never throws. */
  async #pump(): Promise<void> {
    try {
      for await (const piece of this.#rows) {
        if (!this.#isClosed) this.emit('data', piece);
        await this.#paused?.promise;
        if (this.#isClosed) return;
      }
    } catch (error) {
      if (!this.#isClosed) this.emit('error', error);
      return;
    }
    if (!this.#isClosed) this.emit('end');
  }
}
