import type { LiveCopy } from '../../../replica/live-copy.ts';
import type { LogCache } from '../../changelog/log-cache.ts';
import { MongoChangeLog } from '../../changelog/mongo-change-log.ts';
import { Retention, type RetentionPolicy } from '../../replication/retention.ts';
import type { MongoConnection } from '../../store/mongo-connection.ts';
import { MongoRows } from '../../store/mongo-rows.ts';
import { MongoScrub } from '../../store/mongo-scrub.ts';
import { MongoStore } from '../../store/mongo-store.ts';
import { MongoSweeper } from '../../store/mongo-sweeper.ts';
import type { SqliteStore } from '../../store/sqlite-store.ts';
import type { CollectionSpec } from '../../store/store.ts';
import { systemClock } from '../../util/clock.ts';
import type { LiveTier } from './live-tier.ts';

/** Told what is wrong with work in the background. */
export interface Troubles {
  /** It lasts; null: it is over. */
  set(what: string, error: unknown): void;
  /** It is tried again by itself. */
  warn(work: string, error: unknown): void;
}

export interface FollowDatabaseOptions {
  /** Stays its opener's. */
  readonly connection: MongoConnection;
  readonly collections: readonly CollectionSpec[];
  readonly copy: LiveCopy;
  /** The copied documents. */
  readonly baseline: SqliteStore;
  readonly live: LiveTier;
  /** How much of the log is kept. */
  readonly retention: RetentionPolicy;
  readonly troubles: Troubles;
  /** Asked first for entries that others appended. */
  readonly cache?: LogCache | undefined;
  /** Whatever else works on the log; ends before the log does. */
  readonly besides?: ((log: MongoChangeLog) => AsyncDisposable) | undefined;
  /** Deletions leave their tombstone only until they are in the log: for collections that others read. Default false. */
  readonly briefTombstones?: boolean | undefined;
  /** Told of each complete scrub that the timer started. */
  readonly onScrubbed?: ((asOf: number) => void) | undefined;
}

/** A database whose changes are captured, logged and copied. */
export interface FollowedDatabase extends AsyncDisposable {
  readonly log: MongoChangeLog;
  readonly store: MongoStore;
  readonly scrub: MongoScrub;
  /** Appends nothing by itself any more: neither what others wrote nor what they left pending. Resolves when that has ended. */
  endCaptures(): Promise<void>;
}

/** How long a capture waits for the copy, in ms. */
const CAUGHT_UP_MS = 500;
/** Idempotency keys are promised for seven days. */
const KEY_RETENTION_MS = 8 * 24 * 3_600_000;

/**
 * Starts everything that needs the database: its log and store, who looks after them, and the copy of them (`src/store/SPEC.md`,
 * `replica/SPEC.md`, section 6). When it fails, nothing of it is left, and it may be tried again with the same copy.
 * @throws DATABASE_UNAVAILABLE, CONFIG_INVALID; ALREADY_EXISTS (documents break a new unique index); FORK when the database is not the one that was copied
 */
export async function followDatabase(options: FollowDatabaseOptions): Promise<FollowedDatabase> {
  const { connection, collections, copy, baseline, live, retention, troubles, cache, besides, briefTombstones } =
    options;
  await using parts = new AsyncDisposableStack();
  const silent = 'the database does not answer';
  const log = parts.use(
    await MongoChangeLog.open({
      ...{ database: connection.database, ...(cache && { cache }) },
      onTrouble: (error) => troubles.set(silent, error),
      onRecovered: () => troubles.set(silent, null),
    }),
  );
  const store = await MongoStore.open({
    ...{ connection, log, collections, briefTombstones },
    onTrouble: (error) => troubles.warn('building of an index', error),
  });
  parts.adopt(store, (opened) => opened.close());
  // Where tombstones do not stay to tell the version of a deletion, every version is above those of the log.
  if (briefTombstones === true) {
    parts.defer(log.onEntries(({ entries }) => store.raise(Math.max(...entries.map(({ version }) => version)))));
    const { sequence } = log.head();
    const [last] = sequence === 0 ? [] : await log.read(sequence - 1, { maxChanges: 1, maxBytes: 1 });
    if (last !== undefined) store.raise(last.version);
  }
  const rows = new MongoRows(store);
  if (besides !== undefined) parts.use(besides(log));
  const sweeper = parts.use(new MongoSweeper({ store, onTrouble: (error) => troubles.warn('sweep', error) }));
  const scrub = parts.use(
    new MongoScrub({
      store,
      baseline,
      isSettled: () => copy.isSettled,
      caughtUp: () => copy.reached(log.head().sequence, CAUGHT_UP_MS),
      onScrubbed: ({ asOf }) => {
        options.onScrubbed?.(asOf);
        live.scrubbed(asOf).catch((error: unknown) => troubles.warn('scrub', error));
      },
      onTrouble: (error) => troubles.warn('scrub', error),
    }),
  );
  parts.use(
    new Retention({
      log,
      // Those who follow are served from the copy, and resume there.
      followers: { lowestApplied: () => null },
      policy: retention,
      clock: systemClock,
      prune: async (logFloor) => {
        await sweeper.prune({ logFloor });
        await log.pruneKeys(Date.now() - KEY_RETENTION_MS);
      },
      onError: (error) => troubles.warn('trim', error),
    }),
  );
  // A copy finds whatever was written before its first page, also one whose paging is taken up again.
  if (!copy.isJoined) await live.scrubbed(Date.now());
  // Last: what fails before is tried again with the same copy.
  await copy.follow({
    log,
    onEntries: (listener) => log.onEntries(({ entries }) => listener(entries)),
    page: (...page) => rows.page(...page),
    existing: (collection, ids) => rows.existing(collection, ids),
  });
  parts.defer(() => copy.stop());
  live.follow(log);
  const owned = parts.move();
  return {
    ...{ log, store, scrub },
    endCaptures: async () => {
      await Promise.all([sweeper[Symbol.asyncDispose](), scrub[Symbol.asyncDispose]()]);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
