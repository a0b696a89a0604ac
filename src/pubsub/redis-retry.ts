import { pauseMs, type RedisConnection } from './redis-connection.ts';

/** When to try again what Redis refused: after pauses that grow, for as long as it is refused. */
export class RedisRetry {
  readonly #connection: RedisConnection;
  #tries = 0;
  #endPause: (() => void) | undefined;
  #closed = false;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  /** Whether nothing is to be tried now: the next try is still to come, or there is to be none. */
  get waiting(): boolean {
    return this.#closed || this.#endPause !== undefined;
  }

  /** It failed: runs `again` after a pause, unless a try is set already. */
  schedule(again: () => void): void {
    if (this.waiting) return;
    const { clock, random } = this.#connection;
    this.#tries += 1;
    this.#endPause = clock.after(pauseMs(this.#tries, random), () => {
      this.#endPause = undefined;
      again();
    });
  }

  /** It worked: the next pause is the first one again. */
  succeeded(): void {
    this.#tries = 0;
  }

  /** Calls off the try that is set. */
  cancel(): void {
    this.#endPause?.();
    this.#endPause = undefined;
  }

  /** No more tries. */
  close(): void {
    this.#closed = true;
    this.cancel();
  }
}
