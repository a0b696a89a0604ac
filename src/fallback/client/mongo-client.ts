import {
  type Db,
  type DbOptions,
  MongoClient as DriverClient,
  type MongoClientOptions as DriverOptions,
  MongoNotConnectedError,
} from 'mongodb';
import type { JournalService } from '../../service/journal-service.ts';
import { watchAbsence } from '../../store/mongo-absence.ts';
import { connectMongo, hasDatabase } from '../../store/mongo-connection.ts';
import { watchGreetings } from '../../store/mongo-greetings.ts';
import { systemClock } from '../../util/clock.ts';
import { isOfDatabase } from '../calls.ts';
import type { Scope } from '../scope.ts';
import { ClientFallback, type ClientStatus } from './client-fallback.ts';
import { configuredSettings } from './configured.ts';
import { FALLBACK, GuardedDb } from './mongo-collection.ts';
import { checkSettings, type FallbackSettings } from './settings.ts';

/** The driver's options, and what is done while the database is away. */
export interface MongoClientOptions extends DriverOptions {
  /** Left out: what `holdfast.config.*` in the working directory and the environment say of it. */
  readonly fallback?: FallbackSettings | undefined;
}

/**
 * Waits of the driver that say nothing but that there is no server: with its own defaults (30 s) a write that came due might still
 * be sent long after its caller was told so. What the caller or the URL says, holds.
 */
const REACH_MS = 600;
const CONNECT_MS = 2_000;
const WAITS = {
  serverSelectionTimeoutMS: REACH_MS,
  waitQueueTimeoutMS: REACH_MS,
  connectTimeoutMS: CONNECT_MS,
} as const satisfies DriverOptions;

/**
 * Whatever the caller or the URL says: when the driver sends a write again and finds no server then, it tells that error instead of the
 * first one, and nobody knows any more that the write was sent before.
 */
const ONCE = { retryWrites: false } as const satisfies DriverOptions;

/** Options that say how a server is reached, and as whom. */
const ACCESS =
  /^(auth|tls|ssl|srv|proxy|replicaSet|directConnection|loadBalanced|compressors|family|lookup|serverApi|ca$|cert$|key$|pfx$|passphrase$|checkServerIdentity|localAddress)/;
/** Connections of who captures what is written. */
const POOL = 8;

/**
 * The driver's client, with the same classes, types and results, for a database that may be away: then reads are answered from
 * copies, as far as they can know the answer, and everything else is refused at once with a coded error (`FallbackError`); a write
 * is never pretended. What belongs to a session, and what is neither a read nor a write of documents, is the driver's alone.
 */
export class MongoClient extends DriverClient {
  readonly #url: string;
  readonly #settings: FallbackSettings | undefined;
  /** How the caller reaches the server. */
  readonly #access: DriverOptions;
  #fallback: ClientFallback | undefined;
  #endWatch: () => void = () => {};
  /** The driver could not connect, and does not try again by itself. */
  #isUnconnected = false;

  /** @throws CONFIG_INVALID for fallback options there are not; what the driver's throws */
  constructor(url: string, options: MongoClientOptions = {}) {
    const { fallback, ...given } = options;
    if (fallback !== undefined) checkSettings(fallback);
    super(url, { ...waits(url), ...given, ...ONCE });
    this.#url = url;
    this.#access = Object.fromEntries(Object.entries(given).filter(([name]) => ACCESS.test(name)));
    this.#settings = fallback;
  }

  static override connect(url: string, options?: MongoClientOptions): Promise<MongoClient> {
    return new MongoClient(url, options).connect();
  }

  get [FALLBACK](): ClientFallback {
    this.#fallback ??= this.#start();
    return this.#fallback;
  }

  /**
   * Connects; with copies to answer from also when the database cannot be reached now: it is then used as soon as it can.
   * @throws CONFIG_INVALID when a dataset cannot be used; what the driver's throws
   */
  override async connect(): Promise<this> {
    // The driver connects by itself before its first command, and must hear that it could not.
    const { __skipPingOnConnect: isOfDriver = false } = this.options as { readonly __skipPingOnConnect?: boolean };
    const fallback = this[FALLBACK];
    const { hasCopies, live } = await fallback.ready();
    try {
      await super.connect();
    } catch (error) {
      this.#isUnconnected = true;
      if (isOfDriver || !hasCopies || !isOfDatabase(error)) throw error;
      fallback.lost('the database could not be reached at the start');
      return this;
    }
    if (!isOfDriver) await live?.started();
    return this;
  }

  override async close(force?: boolean): Promise<void> {
    const fallback = this.#fallback;
    this.#fallback = undefined;
    this.#endWatch();
    await fallback?.stop();
    await super.close(force);
  }

  override db(name?: string, options?: DbOptions): Db {
    const { databaseName } = super.db(name, options);
    return new GuardedDb(this, databaseName, { ...this.options, ...options } as DbOptions);
  }

  /** How the fallback is. */
  fallbackStatus(): Promise<ClientStatus> {
    return this[FALLBACK].status();
  }

  /** Keeps a scope from the database (OPEN) or on it (CLOSED) until it is released; `{}` is everything. */
  fallbackForce(scope: Scope, state: 'OPEN' | 'CLOSED'): Promise<void> {
    return this[FALLBACK].force(scope, state);
  }

  fallbackRelease(scope: Scope): Promise<void> {
    return this[FALLBACK].release(scope);
  }

  /** Writes that wait for the database, and those that somebody has to decide; undefined unless `writes` is JOURNAL. */
  async fallbackJournal(): Promise<JournalService | undefined> {
    return (await this[FALLBACK].ready()).live?.journal;
  }

  #start(): ClientFallback {
    const admin = super.db('admin');
    const fallback = new ClientFallback(
      {
        ping: async (signal) => {
          if (this.#isUnconnected) await super.connect();
          this.#isUnconnected = false;
          const { isWritablePrimary } = await admin.command({ hello: 1 }, { signal });
          if (isWritablePrimary !== true) throw new MongoNotConnectedError('the server is not a primary now');
        },
        peek: async (namespace, signal) => {
          const dot = namespace.indexOf('.');
          const collection = super.db(namespace.slice(0, dot)).collection(namespace.slice(dot + 1));
          await collection.findOne({}, { signal });
        },
      },
      this.#settings ?? configuredSettings(),
      hasDatabase(this.#url) ? this.options.dbName : undefined,
      Object.assign(
        (databaseName: string) =>
          connectMongo(this.#url, { appName: 'holdfast-client', poolSize: POOL, databaseName, access: this.#access }),
        { hosts: this.options.hosts.join() },
      ),
    );
    const { connectTimeoutMS, heartbeatFrequencyMS } = this.options;
    const endAbsence = watchAbsence(this, (reason) => fallback.lost(reason));
    const endGreetings = watchGreetings({
      client: {
        ...{ on: this.on.bind(this), off: this.off.bind(this) },
        ...{ close: () => super.close(), connect: () => super.connect() },
      },
      clock: systemClock,
      longestMs: 2 * connectTimeoutMS,
      longestAwaitedMs: connectTimeoutMS + heartbeatFrequencyMS,
    });
    this.#endWatch = () => {
      endAbsence();
      endGreetings();
    };
    return fallback;
  }
}

/** The waits that the URL does not name. */
function waits(url: string): DriverOptions {
  return Object.fromEntries(Object.entries(WAITS).filter(([name]) => !new RegExp(`[?&]${name}=`, 'i').test(url)));
}
