import type { ChangeLog } from '../src/changelog/change-log.ts';
import { isHoldfastError } from '../src/errors.ts';
import { encodeCursor } from '../src/protocol/cursor.ts';
import type { Logger } from '../src/telemetry/logger.ts';
import { type Clock, systemClock } from '../src/util/clock.ts';
import { Backoff } from './backoff.ts';
import type { SourceAddress } from './replica.ts';

export interface HeraldOptions {
  /** Of the new epoch. */
  readonly log: ChangeLog;
  /** The nodes to be told. */
  readonly sources: readonly SourceAddress[];
  readonly logger: Logger;
  readonly clock?: Clock | undefined;
  readonly random?: (() => number) | undefined;
}

const PAUSE = { baseMs: 500, maxMs: 30_000 };

/**
 * Tells former primaries of the epoch that this node began, each until it was told: one that was only hanging, or is started
 * again later, then takes no more writes. It is told as a follower would: by a hello with the cursor and the epochs of this node.
 */
export class Herald {
  readonly #options: HeraldOptions;
  readonly #clock: Clock;
  readonly #end = new AbortController();
  #running: Promise<unknown> | undefined;

  constructor(options: HeraldOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Resolves when all were told, or after `stop`. Never rejects. */
  run(): Promise<unknown> {
    this.#running ??= Promise.all(this.#options.sources.map((source) => this.#tell(source)));
    return this.#running;
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #tell(source: SourceAddress): Promise<void> {
    const { logger, random } = this.#options;
    const backoff = new Backoff({ ...PAUSE, random });
    while (!this.#end.signal.aborted) {
      const answer = await this.#greet(source);
      if (answer !== null) {
        logger.info({ node: source.name, answer }, 'a former primary was told of the new epoch');
        return;
      }
      await this.#pause(backoff.next());
    }
  }

  /** What the node says to it: FENCED, or what shows that it knows. Null when it could not be told. */
  async #greet(source: SourceAddress): Promise<string | null> {
    const { log } = this.#options;
    const { epoch, sequence, chain } = log.head();
    const cursor = encodeCursor({ logId: log.logId, epoch, sequence, chain });
    const ended = Promise.withResolvers<null>();
    const end = (): void => ended.resolve(null);
    this.#end.signal.addEventListener('abort', end, { once: true });
    const asked = source.connect().then(async (connected) => {
      try {
        return (await connected.hello(cursor, { collections: null }, log.epochs())).status;
      } finally {
        connected.close?.();
      }
    });
    try {
      return await Promise.race([asked, ended.promise]);
    } catch (error) {
      return isHoldfastError(error, 'FENCED') ? error.code : null;
    } finally {
      asked.catch(() => {});
      this.#end.signal.removeEventListener('abort', end);
    }
  }

  #pause(ms: number): Promise<void> {
    if (this.#end.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        cancel();
        this.#end.signal.removeEventListener('abort', finish);
        resolve();
      };
      const cancel = this.#clock.after(ms, finish);
      this.#end.signal.addEventListener('abort', finish, { once: true });
    });
  }
}
