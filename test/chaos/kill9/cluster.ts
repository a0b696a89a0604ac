import { type Node, nodes } from '../../support/nodes.ts';
import { startMongo } from '../../support/servers/mongo.ts';
import { startRedis } from '../../support/servers/redis.ts';
import type { TestServer } from '../../support/servers/server.ts';
import { type LogReader, mongoLog, sqliteLog } from './log.ts';

/** What is killed. */
export const VICTIMS = ['primary', 'replica', 'mongodb', 'redis'] as const;
export type Victim = (typeof VICTIMS)[number];

export interface ClusterOptions {
  readonly store: 'sqlite' | 'mongodb';
  readonly redis: boolean;
}

/** The processes under test, on ports that stay theirs over restarts. Killed at the end of the scope. */
export interface Cluster extends AsyncDisposable {
  /** One over the embedded store; two over one MongoDB. */
  readonly primaries: readonly [Node, ...Node[]];
  /** One over the embedded store; two over MongoDB. */
  readonly replicas: readonly [Node, ...Node[]];
  readonly mongodb: TestServer | undefined;
  readonly redis: TestServer | undefined;
  readonly log: LogReader;
  /** Those who are there to be killed. */
  readonly victims: readonly Victim[];
}

const SCHEMA = 'type Thing @entity { id: ID! @id  name: String! @unique  n: Int! }\n';

/** Starts everything and waits until it serves. */
export async function startCluster({ store, redis: withRedis }: ClusterOptions): Promise<Cluster> {
  await using parts = new AsyncDisposableStack();
  const mongodb = store === 'mongodb' ? parts.use(await startMongo()) : undefined;
  const redis = withRedis ? parts.use(await startRedis()) : undefined;
  const url = mongodb?.urlOf('chaos');
  const environment = {
    // A database that is killed again and again would be left alone most of the time.
    HOLDFAST_FALLBACK_BREAKER_HOLD_MS: '1',
    ...(url === undefined ? {} : { HOLDFAST_STORE_URL: url }),
    ...(redis === undefined ? {} : { HOLDFAST_CHANGE_LOG_REDIS: redis.url }),
  };
  const started = parts.use(await nodes(SCHEMA));
  const primaries: [Node, ...Node[]] = [await started.primary('primary', environment)];
  if (mongodb !== undefined) primaries.push(await started.primary('primary2', environment));
  const replicas: [Node, ...Node[]] = [await started.replica('replica', primaries)];
  if (mongodb !== undefined) replicas.push(await started.replica('replica2', [...primaries].reverse()));
  await Promise.all([...primaries, ...replicas].map(({ ready }) => ready));
  const log = parts.use(url === undefined ? sqliteLog(primaries[0].data) : mongoLog(url));
  const there = { primary: primaries, replica: replicas, mongodb: mongodb?.killable === true, redis };
  const owned = parts.move();
  return {
    ...{ primaries, replicas, mongodb, redis, log },
    victims: VICTIMS.filter((victim) => Boolean(there[victim])),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
