import { Cluster, Redis } from 'ioredis';
import { HoldfastError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import { RedisIncident, type RedisMetrics, type RedisTrouble } from './redis-incident.ts';
import { parseRedisUrl, type RedisTarget } from './redis-url.ts';

/** Longest time to a connection, and to the first answer on it. */
const CONNECT_MS = 1_000;
/** A server that is silent for this long while something is asked of it counts as lost, and the connection is made anew. */
const SILENCE_MS = 1_000;
/** Asked this often when nothing else is, so that a dead connection is noticed. */
const HEARTBEAT_MS = 1_000;
/** A command never waits longer, whatever a client does about redirections. */
const COMMAND_MS = 5_000;
/** How long {@link RedisConnection.open} waits to hear that the credentials are wrong. */
const OPEN_MS = 1_500;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/** What a server says for good: another try with the same URL would hear the same. */
const REFUSAL = /WRONGPASS|NOAUTH|invalid password|DB index|called without any password configured/;

export interface RedisConnectionOptions {
  /** See {@link parseRedisUrl}. */
  readonly url: string;
  readonly logger: Logger;
  readonly metrics?: RedisMetrics | undefined;
  readonly clock?: Clock;
  /** Default `Math.random`. */
  readonly random?: () => number;
}

/** The pause before the next try after `tries` that failed (≥ 1), in ms: doubles up to a second, with jitter of half. */
export function pauseMs(tries: number, random: () => number): number {
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(tries - 1, 10));
  return longest * (0.5 + random() / 2);
}

/**
 * The connections of this process to Redis: one for commands, one that is subscribed. They are made again for as long as
 * they are open; nothing is queued for a server that is away, a command then fails at once.
 */
export class RedisConnection {
  readonly incident: RedisIncident;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  readonly metrics: RedisMetrics | undefined;
  /** For commands. */
  readonly commands: Redis | Cluster;
  /** For subscriptions. */
  readonly subscriber: Redis | Cluster;
  readonly #target: RedisTarget;
  readonly #endHeartbeat: () => void;

  private constructor(options: RedisConnectionOptions) {
    this.#target = parseRedisUrl(options.url);
    this.clock = options.clock ?? systemClock;
    this.random = options.random ?? Math.random;
    this.metrics = options.metrics;
    this.logger = options.logger;
    this.incident = new RedisIncident({
      ...{ redis: this.#target.shown, logger: options.logger, clock: this.clock, metrics: this.metrics },
    });
    this.commands = this.#connect('connection');
    this.subscriber = this.#connect('subscription');
    this.#endHeartbeat = this.clock.every(HEARTBEAT_MS, () => {
      for (const client of [this.commands, this.subscriber])
        if (client.status === 'ready') client.ping().catch(() => {});
    });
  }

  /**
   * Opens the connections. A server that does not answer is no error: it is an incident, and is tried again.
   * @throws CONFIG_INVALID when the URL is not one, or Redis refuses its credentials or database
   */
  static async open(options: RedisConnectionOptions): Promise<RedisConnection> {
    const connection = new RedisConnection(options);
    const refusal = await connection.#firstAnswer();
    if (refusal === undefined) return connection;
    await connection.close();
    // Without the error as its cause: that holds the command, and the command holds the password.
    throw new HoldfastError(
      'CONFIG_INVALID',
      `changeLog.redis: ${connection.#target.shown} refuses this user, password or database: ${refusal}`,
    );
  }

  /** Whether a command has somebody to answer it. */
  get ready(): boolean {
    return this.commands.status === 'ready';
  }

  /** Calls `listener` each time the connection for commands was made. Returns the function that ends it. */
  onReady(listener: () => void): () => void {
    this.commands.on('ready', listener);
    return () => this.commands.off('ready', listener);
  }

  /** Whether the connection for subscriptions is there. */
  get subscriberReady(): boolean {
    return this.subscriber.status === 'ready';
  }

  /** Calls `listener` each time the connection for subscriptions was made: it has no subscriptions then. Returns the function that ends it. */
  onSubscriberReady(listener: () => void): () => void {
    this.subscriber.on('ready', listener);
    return () => this.subscriber.off('ready', listener);
  }

  /** Carries out one command. Rejects at once when the server is away, and after a bounded time when it falls silent. */
  run(command: string, ...args: (string | number)[]): Promise<unknown> {
    return this.commands.call(command, ...args);
  }

  /** Ends both connections; what is under way fails. */
  async close(): Promise<void> {
    this.incident.close();
    this.#endHeartbeat();
    for (const client of [this.commands, this.subscriber]) client.disconnect();
  }

  #connect(trouble: RedisTrouble): Redis | Cluster {
    const client = this.#create();
    let cause: unknown = new Error('the connection was closed');
    const keep = (error: unknown): void => {
      cause = error;
      // Sentinels that do not answer are an error, and never a connection that is closed.
      if (client.status !== 'ready') this.incident.begin(trouble, cause);
    };
    client.on('error', keep);
    client.on('node error', keep);
    client.on('close', () => this.incident.begin(trouble, cause));
    client.on('ready', () => {
      cause = new Error('the connection was closed');
      this.incident.end(trouble);
    });
    client.connect().catch(() => {});
    return client;
  }

  #create(): Redis | Cluster {
    const { kind, hosts, name, database, username, password, tls, ...target } = this.#target;
    const retry = (tries: number): number => pauseMs(tries, this.random);
    const shared = {
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(tls === undefined ? {} : { tls }),
      ...{ connectTimeout: CONNECT_MS, socketTimeout: SILENCE_MS, commandTimeout: COMMAND_MS, lazyConnect: true },
      // Whatever cannot be sent now fails now: nothing piles up, and nothing old is sent late.
      ...{ maxRetriesPerRequest: 0, autoResendUnfulfilledCommands: false, autoResubscribe: false },
    };
    if (kind === 'cluster') {
      return new Cluster([...hosts], {
        ...{ redisOptions: shared, lazyConnect: true, enableOfflineQueue: false, clusterRetryStrategy: retry },
        ...{ slotsRefreshTimeout: CONNECT_MS, maxRedirections: 4 },
        // The name in the certificate is that of the host, which the default would look up and replace.
        ...(tls === undefined ? {} : { dnsLookup: (address, answer) => answer(null, address) }),
      });
    }
    const single = {
      ...{ ...shared, db: database, enableOfflineQueue: false, retryStrategy: retry },
      // A server that became a replica takes no writes: ask again who is the primary.
      reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
    };
    const [first] = hosts;
    if (kind === 'single') return new Redis({ ...single, ...first });
    return new Redis({
      ...{ ...single, sentinels: [...hosts], name, sentinelRetryStrategy: retry, sentinelCommandTimeout: CONNECT_MS },
      ...(target.sentinelUsername === undefined ? {} : { sentinelUsername: target.sentinelUsername }),
      ...(target.sentinelPassword === undefined ? {} : { sentinelPassword: target.sentinelPassword }),
      ...(tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: tls }),
    });
  }

  /** Waits for the first answer; what Redis said when it refused us, or undefined: it is there, or away. */
  #firstAnswer(): Promise<string | undefined> {
    return new Promise((resolve) => {
      const finish = (refusal?: string): void => {
        endWait();
        this.commands.off('ready', ready);
        this.commands.off('error', heard);
        this.commands.off('node error', heard);
        resolve(refusal);
      };
      const ready = (): void => finish();
      const heard = ({ message, lastNodeError }: Error & { readonly lastNodeError?: Error }): void => {
        const said = lastNodeError?.message ?? message;
        finish(REFUSAL.test(said) ? said : undefined);
      };
      const endWait = this.clock.after(OPEN_MS, ready);
      this.commands.on('ready', ready);
      this.commands.on('error', heard);
      this.commands.on('node error', heard);
    });
  }
}
