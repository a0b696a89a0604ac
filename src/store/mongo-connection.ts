import { type Db, MongoClient, type MongoClientOptions, MongoNotConnectedError } from 'mongodb';
import { HoldfastError } from '../errors.ts';
import { systemClock } from '../util/clock.ts';
import { watchAbsence, watchArrival } from './mongo-absence.ts';
import { type DurableLevel, durableLevel } from './mongo-durable.ts';
import { coded } from './mongo-errors.ts';
import { watchGreetings } from './mongo-greetings.ts';
import type { StoreCapabilities } from './store.ts';

/** The database of a URL that names none. */
const DEFAULT_DATABASE = 'holdfast';

/** Longest wait for a connection and the greeting on it, in ms; the driver's 30 s would delay the return of a server that vanished. */
const CONNECT_MS = 2_000;
const HEARTBEAT_MS = 10_000;

export interface MongoConnectionOptions {
  /** Shown in the server's log and list of connections. Default `holdfast`. */
  readonly appName?: string | undefined;
  /** Connections at most. Default 32. */
  readonly poolSize?: number | undefined;
  /**
   * Longest wait for a server or a free connection, in ms: after it nothing was sent. Default 600; then the first connection does
   * not wait for servers that all refuse it either.
   */
  readonly reachMs?: number | undefined;
  /** Longest silence of a server that has an operation, in ms. Default 10,000. */
  readonly silenceMs?: number | undefined;
  /** Default: the one that the URL names. */
  readonly databaseName?: string | undefined;
  /** Whether reads go where the URL says, which only those who write nothing may do. Default: to the primary. */
  readonly readsAnyMember?: boolean | undefined;
  /** How somebody else reaches the server whose URL it is: credentials, certificates, topology. */
  readonly access?: MongoClientOptions | undefined;
}

/** A connection to one database of a MongoDB server. */
export interface MongoConnection extends AsyncDisposable {
  readonly database: Db;
  readonly capabilities: StoreCapabilities;
  /** How to read what is durable. */
  readonly durableLevel: DurableLevel;
  /** Asks whether the server can be written to. Not bound in time. @throws when it cannot, or does not answer */
  ping(signal?: AbortSignal): Promise<void>;
  /** Calls `listener` with the reason when no server is known any more and a heartbeat failed too. Returns the function that ends it. */
  onAway(listener: (reason: string) => void): () => void;
  /** Ends the connections; what is under way fails. */
  close(): Promise<void>;
}

/**
 * Connects and asks the server what it can. Nothing of the gateway needs what the flags report; they are for status and logs.
 * Writes are acknowledged by a majority and its journals. The driver retries no write: whether to send one again is decided where
 * its outcome can be found out. It retries reads once, and nothing that a server with too much to do refused.
 * @throws CONFIG_INVALID for a URL that is none, or refused credentials; DATABASE_UNAVAILABLE
 */
export async function connectMongo(url: string, options: MongoConnectionOptions = {}): Promise<MongoConnection> {
  const { appName = 'holdfast', poolSize = 32, reachMs = 600, silenceMs = 10_000 } = options;
  const client = clientOf(url, {
    ...options.access,
    ...{ appName, maxPoolSize: poolSize, retryWrites: false, retryReads: true },
    ...{ serverSelectionTimeoutMS: reachMs, waitQueueTimeoutMS: reachMs, socketTimeoutMS: silenceMs },
    ...{ connectTimeoutMS: CONNECT_MS, heartbeatFrequencyMS: HEARTBEAT_MS },
    // A server with too much to do is not asked again by each of its callers.
    maxAdaptiveRetries: 0,
    writeConcern: { w: 'majority', journal: true },
    // Another member may lack what was written, and what is written next depends on that.
    ...(options.readsAnyMember !== true && { readPreference: 'primary' }),
  });
  const endWatch = watchGreetings({
    ...{ client, clock: systemClock },
    // To connect, and then to be greeted back.
    longestMs: 2 * CONNECT_MS,
    longestAwaitedMs: CONNECT_MS + HEARTBEAT_MS,
  });
  try {
    const database = client.db(options.databaseName ?? (hasDatabase(url) ? undefined : DEFAULT_DATABASE));
    const hello = await greeted(client, database, options.reachMs === undefined);
    const close = (): Promise<void> => {
      endWatch();
      return client.close();
    };
    const ping = async (signal?: AbortSignal): Promise<void> => {
      const answer = await database.command({ hello: 1 }, signal === undefined ? {} : { signal });
      if (answer.isWritablePrimary !== true) throw new MongoNotConnectedError('the server is not a primary now');
    };
    const onAway = (listener: (reason: string) => void) => watchAbsence(client, listener);
    const capabilities = await probe(database, hello);
    const level = durableLevel(hello);
    return { database, capabilities, durableLevel: level, ping, onAway, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    endWatch();
    await client.close();
    throw coded(error, 'connect to the store', 'READ');
  }
}

/** The first answer of a server. @throws at once, when `hurried`, if every server refuses connections */
async function greeted(
  client: MongoClient,
  database: Db,
  hurried: boolean,
): Promise<Readonly<Record<string, unknown>>> {
  const greeting = database.admin().command({ hello: 1 });
  if (!hurried) return greeting;
  const absent = Promise.withResolvers<never>();
  const endWatch = watchArrival(client, () =>
    absent.reject(new MongoNotConnectedError('no server accepts connections')),
  );
  try {
    return await Promise.race([greeting, absent.promise]);
  } finally {
    endWatch();
  }
}

function clientOf(url: string, options: MongoClientOptions): MongoClient {
  try {
    return new MongoClient(url, options);
  } catch (cause) {
    // The driver's message may repeat the URL, which has a password.
    throw new HoldfastError(
      'CONFIG_INVALID',
      'the URL of the store is no MongoDB URL; one looks like mongodb://host:27017/name',
      {
        cause,
      },
    );
  }
}

/** Whether a MongoDB URL names a database. */
export function hasDatabase(url: string): boolean {
  return /^mongodb(?:\+srv)?:\/\/[^/?]+\/[^/?]+/.test(url);
}

async function probe(database: Db, hello: Readonly<Record<string, unknown>>): Promise<StoreCapabilities> {
  const info = await database
    .admin()
    .command({ buildInfo: 1 })
    .catch(() => ({}) as Record<string, unknown>);
  const sharded = hello.msg === 'isdbgrid';
  const replicaSet = typeof hello.setName === 'string';
  return {
    ...{ transactionalLog: false, snapshotReads: false, uniqueLists: false, anyText: false },
    server: `MongoDB ${typeof info.version === 'string' ? info.version : 'of unknown version'}${sharded ? ' (sharded)' : replicaSet ? ' (replica set)' : ''}`,
  };
}
