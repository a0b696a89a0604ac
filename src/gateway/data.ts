import type { ChangeLog } from '../changelog/change-log.ts';
import { SqliteChangeLog } from '../changelog/sqlite-change-log.ts';
import { type Config, dataDirectory } from '../config.ts';
import type { DatasetKeeper } from '../fallback/dataset/keeper.ts';
import type { Fallback } from '../fallback/fallback.ts';
import type { Model } from '../model/entity.ts';
import { DEFAULT_RETENTION, Retention } from '../replication/retention.ts';
import { PrimarySource } from '../replication/source.ts';
import { ConflictPolicies, type DecideConflict } from '../service/conflict-policies.ts';
import type { Conflicts } from '../service/conflicts.ts';
import { exportDivergent } from '../service/divergence.ts';
import { Fence } from '../service/fence.ts';
import type { JournalService } from '../service/journal-service.ts';
import { PrimaryService } from '../service/primary.ts';
import type { Database } from '../sqlite/database.ts';
import type { RowReader } from '../store/row-store.ts';
import { SqliteStore } from '../store/sqlite-store.ts';
import type { CollectionSpec } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { MetricsRegistry } from '../telemetry/metrics.ts';
import { systemClock } from '../util/clock.ts';
import { openDatasets } from './datasets.ts';
import { Fencing } from './fencing.ts';

/** What a primary serves, wherever its documents are. */
export interface PrimaryData extends AsyncDisposable {
  /** Before the database was reached for the first time: one whose writes, and reads that nothing else can answer, are refused. */
  service(): PrimaryService;
  /** What answers while the database is away; undefined where it cannot be. */
  readonly fallback?: Fallback | undefined;
  /** Writes that wait for the database; undefined where none can. */
  readonly journal?: JournalService | undefined;
  /** Masked copies of the data. */
  readonly datasets: DatasetKeeper;
  /** What replicas follow. */
  readonly source: PrimarySource;
  /** The documents as {@link source} hands them on. */
  readonly rows: RowReader;
  /** The log of record, as far as it is known here. */
  log(): ChangeLog;
  /** Name and version of the database. */
  server(): string;
  /** Sentences about what is wrong now. */
  problems(): readonly string[];
}

export interface PrimaryDataOptions {
  readonly config: Config;
  readonly model: Model;
  /** In the data directory; stays its opener's. */
  readonly database: Database;
  /** Of `database`, where it is open already: who reads it goes on reading. */
  readonly log?: SqliteChangeLog | undefined;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** What this node met; also where divergent changes are listed. */
  readonly conflicts: Conflicts;
  /** Hand-written decisions, by entity. */
  readonly decide: ReadonlyMap<string, DecideConflict>;
}

/** Documents and log in the embedded store. @throws ALREADY_EXISTS when documents break a new unique index */
export async function openEmbeddedData(options: PrimaryDataOptions): Promise<PrimaryData> {
  const { config, model, database, logger, conflicts, decide } = options;
  await using parts = new AsyncDisposableStack();
  const log = options.log ?? (await SqliteChangeLog.open(database));
  const store = await SqliteStore.open({ database, outbox: log, collections: collectionSpecs(model) });
  const fence = await Fence.open({ database, log });
  const fencing = new Fencing({
    ...{ fence, logger },
    onFenced: () => source.endSubscriptions(),
    keep: (from) => exportDivergent({ log, database, conflicts, directory: dataDirectory(config) }, from),
  });
  const source = parts.adopt(
    new PrimarySource({
      ...{ log, rows: store, schema: model, collections: replicatedCollections(model) },
      onHigherEpoch: (epoch, from) => fencing.raise(epoch, from),
      fencedBy: () => fence.state?.epoch ?? null,
    }),
    (started) => started.stop(),
  );
  parts.defer(() => fencing.settled());
  fencing.resume();
  parts.use(startRetention({ config, log, source, store, logger }));
  const { keeper } = parts.use(await openDatasets({ config, model, logger, source: () => store }));
  const policies = new ConflictPolicies({ conflicts, history: log, decide });
  const service = new PrimaryService({ store, log, fence, policies });
  const owned = parts.move();
  return {
    service: () => service,
    ...{ source, rows: store, datasets: keeper },
    log: () => log,
    server: () => store.capabilities.server,
    problems: () => fencing.problems(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Trims an embedded log in the background, as the configuration says, and forgets what its store kept for it. */
export function startRetention(node: {
  readonly config: Config;
  readonly log: SqliteChangeLog;
  readonly source: PrimarySource;
  readonly store: SqliteStore;
  readonly logger: Logger;
}): Retention {
  const { config, log, source, store, logger } = node;
  return new Retention({
    log,
    followers: source.followers,
    policy: { ...DEFAULT_RETENTION, ...config.changeLog.retention },
    clock: systemClock,
    prune: (logFloor) => store.prune({ now: Date.now(), logFloor }),
    onError: (error) => logger.error({ err: error }, 'the change log could not be trimmed; the next sweep tries again'),
  });
}

/** The collections a store needs for a model. */
export function collectionSpecs(model: Model): CollectionSpec[] {
  return model.entities.map(({ collection, indexes }) => ({ name: collection, indexes }));
}

/** Names of the collections that replicas get. */
export function replicatedCollections(model: Model): string[] {
  return model.entities.filter(({ replicates }) => replicates).map(({ collection }) => collection);
}
