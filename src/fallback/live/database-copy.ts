import { join } from 'node:path';
import { SqliteChangeLog } from '../../changelog/sqlite-change-log.ts';
import type { Document } from '../../model/document.ts';
import { DEFAULT_RETENTION, Retention } from '../../replication/retention.ts';
import { Database } from '../../sqlite/database.ts';
import { listCollections } from '../../store/mongo-collections.ts';
import type { MongoConnection } from '../../store/mongo-connection.ts';
import { type Stamped, stamp } from '../../store/mongo-stamp.ts';
import type { CollectionSpec } from '../../store/store.ts';
import { systemClock } from '../../util/clock.ts';
import type { Tier } from '../tiers.ts';
import { Captures } from './captures.ts';
import { readKnown, withoutIndexes, writeKnown } from './collection-list.ts';
import { openCopyJournal } from './copy-journal.ts';
import { type FollowedDatabase, followDatabase, type Troubles } from './follow-database.ts';
import type { JournalParts } from './journal-parts.ts';
import { keepConnecting } from './keep-connecting.ts';
import { type Local, openLocal } from './local-copy.ts';
import { MissedWrites } from './missed-writes.ts';

export interface DatabaseCopyOptions {
  /** Of its own; the copy and the journal lie there. */
  readonly directory: string;
  /** Where the database is: hosts and name, without credentials. */
  readonly source: string;
  readonly connect: () => Promise<MongoConnection>;
  /** Collections to copy. Default: all. */
  readonly collections?: readonly string[] | undefined;
  /** Nobody writes to the database but who captures what he writes. */
  readonly exclusiveWriter: boolean;
  /** Whether writes may wait in a journal. */
  readonly journals: boolean;
  /** Whether writes to a collection go to the database now. */
  readonly admits: (collection: string) => boolean;
  readonly troubles: Troubles;
}

/** Longest that a write waits for its capture, in ms; ten more for each of its documents. */
const CAPTURE_MS = 800;
const DOCUMENT_MS = 10;

/**
 * A copy of a database that others write to as well: it follows the change log into which it captures what is written. A directory
 * belongs to one process. SPEC.md of the client, section "The change log".
 */
export class DatabaseCopy implements AsyncDisposable {
  readonly #options: DatabaseCopyOptions;
  readonly #database: Database;
  readonly #log: SqliteChangeLog;
  readonly #captures: Captures;
  readonly #missed: MissedWrites;
  readonly #end = new AbortController();
  #local: Local;
  /** Whether what is here is of the database that is asked for. */
  #isOfSource: boolean;
  #connection: MongoConnection | undefined;
  #followed: FollowedDatabase | undefined;
  #connecting: Promise<void> | undefined;
  /** Collections that are to be copied as well. */
  readonly #wanted = new Set<string>();
  /** The end of what replaces `#local` and `#followed`. */
  #changing: Promise<void> = Promise.resolve();
  #journal: JournalParts | undefined;
  readonly #parts = new AsyncDisposableStack();

  private constructor(
    options: DatabaseCopyOptions,
    database: Database,
    log: SqliteChangeLog,
    local: Local,
    isOfSource: boolean,
  ) {
    this.#options = options;
    this.#database = database;
    this.#log = log;
    this.#local = local;
    this.#isOfSource = isOfSource;
    this.#captures = new Captures({ capture: (collection, ids) => this.#capture(collection, ids) });
    this.#missed = new MissedWrites({
      look: (collections) => this.#scrub(collections),
      onTrouble: (error) => options.troubles.set('writes are not captured', error),
      ...{ clock: systemClock, now: Date.now },
    });
  }

  /** Opens what there is; the database need not be there. @throws DATA_LOCKED, DATA_UNWRITABLE */
  static async open(options: DatabaseCopyOptions): Promise<DatabaseCopy> {
    await using parts = new AsyncDisposableStack();
    const database = parts.adopt(Database.open({ directory: options.directory }), (opened) => opened.close());
    const log = await SqliteChangeLog.open(database);
    const known = await readKnown(database);
    const uncapturedSince = (): number | undefined => copy.#missed.since;
    const local = await openLocal({ ...options, uncapturedSince }, database, log, known?.collections ?? []);
    const copy: DatabaseCopy = new DatabaseCopy(options, database, log, local, known?.source === options.source);
    for (const { name } of copy.#local.collections) copy.#missed.add(name, copy.#local.tier.scrubbedAt);
    if (options.journals) {
      copy.#journal = await openCopyJournal({
        ...{ database, log, directory: join(options.directory, 'journal'), troubles: options.troubles },
        local: () => copy.#local,
        store: () => copy.#followed?.store,
        takes: (collection) => copy.#isOfSource && copy.follows(collection),
        follows: (collection) => copy.follows(collection),
        uniquePaths: (collection) => copy.uniquePaths(collection),
        admits: options.admits,
      });
    }
    copy.#parts.use(copy.#trimming());
    copy.#parts.adopt(parts.move(), (opened) => opened.disposeAsync());
    return copy;
  }

  /** The copy as a tier; collections by name. */
  get tier(): Tier {
    const local = (): Local => this.#local;
    return {
      source: 'LIVE',
      get store() {
        return local().store;
      },
      coverage: (name) => (this.#isOfSource && this.follows(name) ? local().tier.coverage(name) : 'NONE'),
      stalenessMs: () => local().tier.stalenessMs(),
      position: () => local().tier.position(),
      reached: (sequence, timeoutMs) => local().tier.reached(sequence, timeoutMs),
    };
  }

  /** Undefined: writes do not wait here. */
  get journal(): JournalParts | undefined {
    return this.#journal;
  }

  /** Whether it has every document of what it copies, as of some moment. */
  get isComplete(): boolean {
    return this.#isOfSource && this.#local.copy.isComplete;
  }

  /** Whether the database is followed now. */
  get isFollowing(): boolean {
    return this.#followed !== undefined;
  }

  /** Whether a collection is copied. */
  follows(collection: string): boolean {
    return this.#local.collections.some(({ name }) => name === collection);
  }

  /** Paths whose values belong to one document of a collection each. */
  uniquePaths(collection: string): readonly string[] {
    const spec = this.#local.collections.find(({ name }) => name === collection);
    return spec?.indexes.flatMap(({ unique, paths }) => (unique && paths.length === 1 ? paths : [])) ?? [];
  }

  /** Connects; resolves after the first try, and tries on. @throws what will not be better by itself: CONFIG_INVALID, FORK */
  async start(): Promise<void> {
    const { ended } = await keepConnecting(() => this.#reach(), this.#options.troubles, this.#end.signal);
    this.#connecting = ended;
  }

  /** Copies a collection from now on that is about to be written to for the first time. Never rejects. */
  async include(collection: string): Promise<void> {
    const { collections, troubles } = this.#options;
    const isWanted = collections?.includes(collection) ?? !/^(system\.|holdfast_)/.test(collection);
    if (!isWanted || this.follows(collection) || this.#followed === undefined) return;
    this.#wanted.add(collection);
    const included = this.#exchange(async () => {
      const added = [...this.#wanted].filter((name) => !this.follows(name));
      this.#wanted.clear();
      if (added.length === 0) return;
      await this.#follow([...this.#local.collections, ...added.map((name) => ({ name, indexes: [] }))]);
    });
    await this.#inTime(
      CAPTURE_MS,
      included.then(
        () => true,
        (error: unknown) => {
          troubles.warn(`copying of "${collection}"`, error);
          return false;
        },
      ),
    );
  }

  /**
   * Captures what was written to these documents since `since` (ms since 1970); undefined: to some. What cannot be captured soon is looked
   * for later. Never rejects.
   */
  async captured(collection: string, ids: readonly unknown[] | undefined, since: number): Promise<void> {
    if (ids?.length === 0 || !this.follows(collection)) return;
    const isCaptured =
      ids !== undefined &&
      (await this.#inTime(CAPTURE_MS + ids.length * DOCUMENT_MS, this.#captures.capture(collection, ids)));
    if (!isCaptured) this.#missed.add(collection, since);
  }

  /** New documents, ready to be captured with their insertion; undefined when that cannot be. */
  stamp(collection: string, documents: readonly Document[]): Stamped | undefined {
    if (this.#followed === undefined || !this.follows(collection)) return undefined;
    try {
      return stamp(this.#followed.store, collection, documents);
    } catch {
      // What a store does not take the database may.
      return undefined;
    }
  }

  /** Logs what was inserted as it was stamped, since `since` (ms since 1970). Never rejects. */
  async inserted(collection: string, { metadata, log }: Stamped, since: number): Promise<void> {
    const logged = log().then(
      () => true,
      () => false,
    );
    const isLogged = await this.#inTime(CAPTURE_MS + metadata.length * DOCUMENT_MS, logged);
    if (!isLogged) this.#missed.add(collection, since);
  }

  /** Sees to it that deletions of these documents are over, of which a killed process left the tombstone. Never rejects. */
  async finish(collection: string, ids: readonly unknown[]): Promise<void> {
    await this.#inTime(CAPTURE_MS, this.#captures.capture(collection, ids));
  }

  /** A write of a collection cannot be captured, and may become visible until `until` (both ms since 1970). */
  missed(collection: string, since: number, until?: number): void {
    if (this.follows(collection)) this.#missed.add(collection, since, until);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    this.#missed.stop();
    await this.#connecting;
    await this.#changing;
    await this.#journal?.stop();
    await this.#leave();
    await this.#connection?.close();
    await this.#journal?.[Symbol.asyncDispose]();
    await this.#parts.disposeAsync();
  }

  #open(collections: readonly CollectionSpec[]): Promise<Local> {
    const { exclusiveWriter, troubles } = this.#options;
    const uncapturedSince = (): number | undefined => this.#missed.since;
    return openLocal({ exclusiveWriter, uncapturedSince, troubles }, this.#database, this.#log, collections);
  }

  async #reach(): Promise<void> {
    this.#connection ??= await this.#options.connect();
    const found = await listCollections(this.#connection.database);
    const { collections: wanted } = this.#options;
    await this.#exchange(() =>
      this.#follow(wanted === undefined ? found : found.filter(({ name }) => wanted.includes(name))),
    );
    this.#journal?.run();
  }

  /** Follows the database with these collections from now on. */
  async #follow(collections: readonly CollectionSpec[]): Promise<void> {
    const { source, troubles } = this.#options;
    const connection = this.#connection as MongoConnection;
    await this.#leave();
    const before = this.#local;
    this.#local = await this.#open(collections);
    const { copy, store, tier } = this.#local;
    this.#followed = await followDatabase({
      ...{ connection, copy, baseline: store, live: tier, troubles, retention: DEFAULT_RETENTION },
      ...{ collections: withoutIndexes(collections), briefTombstones: true },
      onScrubbed: (asOf) =>
        this.#missed.found(
          collections.map(({ name }) => name),
          asOf,
        ),
    });
    await writeKnown(this.#database, { source, collections });
    this.#isOfSource = true;
    // What was there before the first look may have been written by anybody.
    const added = collections.filter(({ name }) => !before.collections.some((known) => known.name === name));
    for (const { name } of added) this.#missed.add(name, tier.scrubbedAt);
  }

  async #leave(): Promise<void> {
    const followed = this.#followed;
    this.#followed = undefined;
    await followed?.[Symbol.asyncDispose]();
    await this.#local.copy.stop();
  }

  /** One after the other. */
  #exchange(work: () => Promise<void>): Promise<void> {
    const done = this.#changing.then(work);
    this.#changing = done.catch(() => undefined);
    return done;
  }

  async #capture(collection: string, ids: readonly unknown[]): Promise<boolean> {
    await this.#changing;
    return (await this.#followed?.scrub.capture(collection, ids)) === true;
  }

  async #inTime(ms: number, work: Promise<boolean>): Promise<boolean> {
    const late = Promise.withResolvers<boolean>();
    const callOff = systemClock.after(ms, () => late.resolve(false));
    try {
      return await Promise.race([work, late.promise]);
    } finally {
      callOff();
    }
  }

  /** Looks for writes that were not captured; undefined when that would not find all. */
  async #scrub(collections: readonly string[]): Promise<number | undefined> {
    await this.#changing;
    const followed = this.#followed;
    if (followed === undefined || !this.#local.copy.isSettled) return undefined;
    const wanted = collections.filter((name) => this.follows(name));
    const { asOf, isComplete } = await followed.scrub.scrub(wanted);
    if (!isComplete || this.#followed !== followed) return undefined;
    if (wanted.length === this.#local.collections.length) await this.#local.tier.scrubbed(asOf);
    return asOf;
  }

  /** The copied log is trimmed as the database's is. */
  #trimming(): Retention {
    return new Retention({
      log: this.#log,
      followers: { lowestApplied: () => null },
      ...{ policy: DEFAULT_RETENTION, clock: systemClock },
      prune: (logFloor) => this.#local.store.prune({ now: Date.now(), logFloor }),
      onError: (error) => this.#options.troubles.warn('trimming', error),
    });
  }
}
