import { RedisPubSub } from 'graphql-redis-subscriptions';
import type { Redis } from 'ioredis';
import { comparePositions, formatPosition, type Position, parsePosition } from '../model/position.ts';
import type { Doorbell } from './doorbell.ts';
import type { RedisConnection } from './redis-connection.ts';
import { RedisRetry } from './redis-retry.ts';

export interface RedisDoorbellOptions {
  /** Stays the caller's: closing the doorbell leaves it open. */
  readonly connection: RedisConnection;
  /** Identity of the log; the channel is `holdfast:{<logId>}:head`. */
  readonly logId: string;
}

/**
 * Rings through Redis, to every process that listens, this one included. At most one ring is on its way and one waits, with
 * the newest position.
 */
export class RedisDoorbell implements Doorbell {
  readonly #connection: RedisConnection;
  readonly #channel: string;
  readonly #pubSub: RedisPubSub;
  readonly #listeners = new Set<(position: Position) => void>();
  readonly #ringRetry: RedisRetry;
  readonly #listenRetry: RedisRetry;
  readonly #ends: (() => void)[];
  /** The newest position not rung for yet. */
  #waiting: Position | undefined;
  #ringing = false;

  constructor({ connection, logId }: RedisDoorbellOptions) {
    this.#connection = connection;
    this.#channel = `holdfast:{${logId}}:head`;
    this.#pubSub = new RedisPubSub({ publisher: connection.commands, subscriber: heardBy(connection) });
    void this.#pubSub.subscribe(this.#channel, (message: unknown) => this.#hear(message));
    this.#ringRetry = new RedisRetry(connection);
    this.#listenRetry = new RedisRetry(connection);
    this.#ends = [connection.onReady(() => this.#retryRing()), connection.onSubscriberReady(() => void this.#listen())];
    if (connection.subscriberReady) void this.#listen();
  }

  ring(position: Position): void {
    if (this.#waiting === undefined || comparePositions(position, this.#waiting) > 0) this.#waiting = position;
    void this.#run();
  }

  onRing(listener: (position: Position) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    for (const end of this.#ends) end();
    this.#ringRetry.close();
    this.#listenRetry.close();
    this.#listeners.clear();
    this.#waiting = undefined;
  }

  #retryRing(): void {
    this.#ringRetry.cancel();
    void this.#run();
  }

  async #run(): Promise<void> {
    const { incident } = this.#connection;
    if (this.#ringing) return;
    this.#ringing = true;
    while (this.#waiting !== undefined && this.#connection.ready && !this.#ringRetry.waiting) {
      const position = this.#waiting;
      this.#waiting = undefined;
      try {
        await this.#pubSub.publish(this.#channel, formatPosition(position));
        this.#ringRetry.succeeded();
        incident.end('ring');
      } catch (error) {
        this.#waiting ??= position;
        if (this.#connection.ready) incident.begin('ring', error);
        this.#ringRetry.schedule(() => void this.#run());
      }
    }
    this.#ringing = false;
  }

  /** Subscribes on a new connection. */
  async #listen(): Promise<void> {
    const { incident, subscriber } = this.#connection;
    this.#listenRetry.cancel();
    try {
      await subscriber.subscribe(this.#channel);
      this.#listenRetry.succeeded();
      incident.end('listen');
    } catch (error) {
      if (!this.#connection.subscriberReady) return;
      incident.begin('listen', error);
      this.#listenRetry.schedule(() => void this.#listen());
    }
  }

  /** What is no position was not sent by us. */
  #hear(message: unknown): void {
    const position = positionOf(message);
    if (position !== undefined) for (const listener of [...this.#listeners]) listener(position);
  }
}

function positionOf(message: unknown): Position | undefined {
  try {
    return parsePosition(String(message));
  } catch {
    return undefined;
  }
}

/**
 * The subscribed connection as the package sees it: every subscription succeeds. The doorbell makes the real one itself, on each
 * connection; one that fails inside the package (2.7.0, `RedisPubSub.subscribe`) is a rejection nobody can catch, which ends
 * the process.
 */
function heardBy({ subscriber }: RedisConnection): Redis {
  const seen = {
    on: (event: string, listener: (...values: unknown[]) => void) => subscriber.on(event, listener),
    subscribe: (_channel: string, done: (error: null) => void) => done(null),
  };
  return seen as unknown as Redis;
}
