import { LiveCopy } from '../../replica/live-copy.ts';
import type { MongoChangeLog } from '../changelog/mongo-change-log.ts';
import { SqliteChangeLog } from '../changelog/sqlite-change-log.ts';
import { dataDirectory } from '../config.ts';
import { HoldfastError, isHoldfastError } from '../errors.ts';
import type { Fallback } from '../fallback/fallback.ts';
import { followDatabase } from '../fallback/live/follow-database.ts';
import { keepConnecting } from '../fallback/live/keep-connecting.ts';
import { LiveTier } from '../fallback/live/live-tier.ts';
import { RedisConnection } from '../pubsub/redis-connection.ts';
import { DEFAULT_RETENTION } from '../replication/retention.ts';
import { PrimarySource, SourceStage } from '../replication/source.ts';
import { ConflictPolicies } from '../service/conflict-policies.ts';
import { exportDivergent } from '../service/divergence.ts';
import { Fence } from '../service/fence.ts';
import { PrimaryService } from '../service/primary.ts';
import { connectMongo } from '../store/mongo-connection.ts';
import type { MongoStore } from '../store/mongo-store.ts';
import { SqliteStore } from '../store/sqlite-store.ts';
import { metricsOf } from '../telemetry/metrics.ts';
import {
  collectionSpecs,
  type PrimaryData,
  type PrimaryDataOptions,
  replicatedCollections,
  startRetention,
} from './data.ts';
import { keepShapes, openDatasets } from './datasets.ts';
import { openFallback } from './fallback.ts';
import { fanOut, LateCache } from './fan-out.ts';
import { Fencing } from './fencing.ts';
import { openJournal } from './journal.ts';
import { Problems } from './problems.ts';

export interface MongoDataOptions extends PrimaryDataOptions {
  /** `mongodb://…` */
  readonly url: string;
}

/** What there is once the database was reached. */
interface Reached extends AsyncDisposable {
  readonly log: MongoChangeLog;
  readonly store: MongoStore;
  readonly server: string;
  readonly service: PrimaryService;
  /** See `FollowedDatabase`. */
  endCaptures(): Promise<void>;
}

/** How long the copy may take to hold what a fenced primary has written, in ms. */
const KEEP_WAIT_MS = 30_000;

/**
 * Documents and log on a MongoDB server, and an embedded copy of them that followers are served from: `src/store/SPEC.md` and
 * `replica/SPEC.md`, section 6. A server that cannot be reached is no error: it is tried again, and reads and writes are refused
 * until it answers.
 * @throws CONFIG_INVALID when a server refuses what the configuration says; also when the database is not the one that was copied;
 * ALREADY_EXISTS when documents break a new unique index
 */
export async function openMongoData(options: MongoDataOptions): Promise<PrimaryData> {
  const { config, model, database, logger } = options;
  await using parts = new AsyncDisposableStack();
  const redis = await openRedis(options);
  if (redis !== undefined) parts.adopt(redis, (opened) => opened.close());
  const problems = new Problems(logger);
  const fence = await Fence.open({ database });
  const log = await SqliteChangeLog.open(database);
  const store = await SqliteStore.open({ database, outbox: log, collections: collectionSpecs(model) });
  const copy = parts.use(
    await LiveCopy.open({
      ...{ database, log, store, collections: collectionSpecs(model).map(({ name }) => name) },
      onProblem: (error) => problems.set('the local copy of the database stands still', error),
    }),
  );
  const live = new LiveTier({ copy, log, store, database, exclusiveWriter: config.fallback.exclusiveWriter });
  let reached: Reached | undefined;
  const fencing = new Fencing({
    ...{ fence, logger },
    onFenced: () => source.endSubscriptions(),
    keep: async (from) => {
      await reached?.endCaptures();
      // Asked of the database: another primary may have appended what nobody has told us of.
      const head = await reached?.log.end().catch(() => undefined);
      if (head === undefined || !(await copy.reached(head.sequence, KEEP_WAIT_MS))) {
        logger.warn(
          { from },
          'the local copy may be behind: the newest divergent changes may be only in the database and its log',
        );
      }
      return exportDivergent({ log, database, conflicts: options.conflicts, directory: dataDirectory(config) }, from);
    },
  });
  const datasets = parts.use(await openDatasets({ config, model, logger, source: () => reached?.store }));
  const shapes = parts.use(keepShapes(config, logger));
  const policies = new ConflictPolicies({ conflicts: options.conflicts, decide: options.decide, history: log });
  const journal = await openJournal({
    ...{ config, model, copy, log, store, policies, fence, problems },
    ...{ conflicts: options.conflicts, metrics: options.metrics },
    fallback: () => fallback,
  });
  if (journal !== undefined) parts.use(journal);
  const fallback: Fallback = openFallback({
    ...{ config, model, live, others: datasets.tiers, journal, logger, metrics: options.metrics },
    onRead: (question) => shapes.record(question),
  });
  parts.defer(() => fallback.stop());
  const source = parts.adopt(
    new PrimarySource({
      ...{ log, rows: store, schema: model, collections: replicatedCollections(model) },
      onHigherEpoch: (epoch, from) => fencing.raise(epoch, from),
      fencedBy: () => fence.state?.epoch ?? null,
      stage: () => stageOf(copy),
      knownHead: () => reached?.log.head().sequence ?? Number.POSITIVE_INFINITY,
    }),
    (started) => started.stop(),
  );
  parts.use(startRetention({ config, log, source, store, logger }));
  const end = new AbortController();
  const { ended } = await keepConnecting(
    async () => {
      reached = await reach(options, { copy, log, store, redis, problems, fence, live, fallback });
      if (fence.state !== undefined) await reached.endCaptures();
    },
    problems,
    end.signal,
  );
  journal?.run();
  const unreached = new PrimaryService({ store: fallback.store, fallback, log, fence, policies });
  if (reached === undefined) fallback.lost('the database could not be reached at the start');
  fencing.resume();
  parts.defer(() => fencing.settled());
  parts.defer(async () => {
    end.abort();
    await ended;
    await journal?.stop();
    await reached?.[Symbol.asyncDispose]();
  });
  const owned = parts.move();
  return {
    service: () => reached?.service ?? unreached,
    ...{ source, rows: store, fallback, datasets: datasets.keeper, journal: journal?.service },
    log: () => reached?.log ?? log,
    server: () => reached?.server ?? 'MongoDB',
    problems: () => [...fencing.problems(), ...fallback.problems(), ...problems.list(), ...(journal?.problems() ?? [])],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function openRedis({ config, logger, metrics }: MongoDataOptions): Promise<RedisConnection | undefined> {
  const { redis: url } = config.changeLog;
  return url === undefined ? undefined : RedisConnection.open({ url, logger, metrics: metricsOf(metrics) });
}

function stageOf(copy: LiveCopy): SourceStage {
  if (!copy.isComplete) return SourceStage.EMPTY;
  return copy.isSettled ? SourceStage.EQUAL : SourceStage.SETTLING;
}

interface Local {
  readonly copy: LiveCopy;
  /** The copied log. */
  readonly log: SqliteChangeLog;
  /** The copied documents. */
  readonly store: SqliteStore;
  readonly redis: RedisConnection | undefined;
  readonly problems: Problems;
  readonly fence: Fence;
  readonly live: LiveTier;
  readonly fallback: Fallback;
}

/** Connects and starts everything that needs the database. */
async function reach(options: MongoDataOptions, local: Local): Promise<Reached> {
  const { config, model } = options;
  const { copy, problems } = local;
  await using parts = new AsyncDisposableStack();
  const connection = parts.use(await connectMongo(options.url));
  const cache = new LateCache();
  const { redis } = local;
  const { log, store, endCaptures } = parts.use(
    await followDatabase({
      ...{ connection, cache, copy, baseline: local.store, live: local.live, troubles: problems },
      collections: collectionSpecs(model),
      retention: { ...DEFAULT_RETENTION, ...config.changeLog.retention },
      besides: redis && ((opened) => fanOut(config, redis, opened, cache)),
    }).catch((error: unknown) => {
      if (!isHoldfastError(error, 'FORK')) throw error;
      // Nobody parted from anybody: the URL and the directory do not belong together.
      throw new HoldfastError('CONFIG_INVALID', error.message, { cause: error });
    }),
  );
  local.fallback.attach({ store, ping: (signal) => connection.ping(signal) });
  parts.defer(connection.onAway((reason) => local.fallback.lost(reason)));
  const owned = parts.move();
  return {
    ...{ log, store, endCaptures },
    server: connection.capabilities.server,
    service: new PrimaryService({
      ...{ store: local.fallback.store, fallback: local.fallback, log, feed: local.log, fence: local.fence },
      policies: new ConflictPolicies({ conflicts: options.conflicts, decide: options.decide, history: log }),
    }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
