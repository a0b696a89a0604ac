import { join } from 'node:path';
import { HoldfastError, isHoldfastError } from '../../errors.ts';
import type { Document } from '../../model/document.ts';
import type { JournalService } from '../../service/journal-service.ts';
import type { MongoConnection } from '../../store/mongo-connection.ts';
import type { Stamped } from '../../store/mongo-stamp.ts';
import type { WriteResult } from '../../store/store.ts';
import type { JournalCounts } from '../journal.ts';
import { DatabaseCopy } from '../live/database-copy.ts';
import type { Troubles } from '../live/follow-database.ts';
import type { Overlay } from '../overlay.ts';
import type { Scope } from '../scope.ts';
import type { Tier } from '../tiers.ts';
import type { OfferedWrite } from '../write-fallback.ts';
import { atHome, type Home } from './home.ts';
import type { JournalForm } from './journal-forms.ts';
import { changeLogOf, type FallbackSettings, invalid } from './settings.ts';

/** Reaches a database for who captures what is written to it. */
export interface Connect {
  /** Hosts, without credentials. */
  readonly hosts: string;
  (databaseName: string): Promise<MongoConnection>;
}

/** How the live copy of a client is. */
export interface ClientLiveStatus {
  /** Whether it has all documents as of some moment, and so answers. */
  readonly complete: boolean;
  /** Whether the database is followed now. */
  readonly following: boolean;
  /** Age of what it answers, in ms: every captured write before then is in it. Infinity: not known. */
  readonly stalenessMs: number;
  /** What is in the journal; null when writes do not wait. */
  readonly journal: JournalCounts | null;
  /** Sentences about what is wrong now. */
  readonly problems: readonly string[];
}

const DIRECTORY = join('.holdfast', 'client');
/** Everything that a process writes is its own. */
const PRINCIPAL = 'client';

/** The live copy and the journal of a client; collections by namespace. */
export class ClientLive implements AsyncDisposable {
  readonly #copy: DatabaseCopy;
  readonly #home: Home;
  readonly #problems: Map<string, string>;
  readonly tiers: readonly Tier[];
  #started: Promise<void> = Promise.resolve();

  private constructor(copy: DatabaseCopy, home: Home, problems: Map<string, string>) {
    this.#copy = copy;
    this.#home = home;
    this.#problems = problems;
    this.tiers = [atHome(copy.tier, home)];
  }

  /** Undefined without `changeLog`. @throws CONFIG_INVALID, DATA_LOCKED, DATA_UNWRITABLE */
  static async open(
    settings: FallbackSettings,
    home: Home,
    connect: Connect | undefined,
    admits: (namespace: string) => boolean,
  ): Promise<ClientLive | undefined> {
    const changeLog = changeLogOf(settings);
    if (changeLog === undefined || connect === undefined) return undefined;
    const { database } = settings.database === undefined ? home : settings;
    if (database === undefined) {
      throw invalid('fallback.changeLog needs a database: name it in the URL, or as fallback.database');
    }
    home.name(database);
    const problems = new Map<string, string>();
    const copy = await DatabaseCopy.open({
      ...{ directory: changeLog.directory ?? DIRECTORY, collections: changeLog.collections },
      source: `${connect.hosts}/${database}`,
      connect: () => connect(database),
      exclusiveWriter: changeLog.exclusiveWriter === true,
      journals: settings.writes === 'JOURNAL',
      admits: (collection) => admits(`${database}.${collection}`),
      troubles: troublesOf(settings, problems),
    });
    return new ClientLive(copy, home, problems);
  }

  /** Whether there is something to answer from. */
  get isComplete(): boolean {
    return this.#copy.isComplete;
  }

  /** Connects in the background. */
  start(): void {
    this.#started = this.#copy.start();
    this.#started.catch((error: unknown) => {
      this.#problems.set('the database cannot be followed', (error as Error).message);
    });
  }

  /** Resolves when it was tried to connect. @throws what will not be better by itself: CONFIG_INVALID, FORK */
  started(): Promise<void> {
    return this.#started;
  }

  /** Whether a namespace belongs to the database whose changes are captured. */
  isOf(namespace: string): boolean {
    return this.#home.collectionOf(namespace) !== undefined;
  }

  /** Before a collection is written to. */
  async include(namespace: string): Promise<void> {
    await this.#copy.include(this.#nameOf(namespace));
  }

  /** After documents were written, since `since` (ms since 1970); undefined: nobody knows which. */
  async captured(namespace: string, ids: readonly unknown[] | undefined, since: number): Promise<void> {
    await this.#copy.captured(this.#nameOf(namespace), ids, since);
  }

  /** New documents as a store has them, ready to be captured with their insertion; undefined when that cannot be. */
  stamp(namespace: string, documents: readonly Document[]): Stamped | undefined {
    return this.#copy.stamp(this.#nameOf(namespace), documents);
  }

  /** After documents were inserted as they were stamped. */
  async inserted(namespace: string, stamped: Stamped, since: number): Promise<void> {
    await this.#copy.inserted(this.#nameOf(namespace), stamped, since);
  }

  /** Ends deletions that a killed process did not. */
  async finish(namespace: string, ids: readonly unknown[]): Promise<void> {
    await this.#copy.finish(this.#nameOf(namespace), ids);
  }

  /** Something was written that others may see until `until` only later. */
  missed(namespace: string, since: number, until?: number): void {
    this.#copy.missed(this.#nameOf(namespace), since, until);
  }

  /** What this process wrote and the database does not have yet. */
  overlay(namespace: string): Overlay | undefined {
    const name = this.#home.collectionOf(namespace);
    return name === undefined ? undefined : this.#copy.journal?.writes.overlay?.(name, PRINCIPAL);
  }

  /** Whether a write must wait for others in the journal. Without a form it may concern any document. */
  holds(namespace: string, form: JournalForm | undefined): boolean {
    const name = this.#home.collectionOf(namespace);
    if (name === undefined) return false;
    const write = form?.write ?? { method: 'deleteMany', arguments: [{}], options: {} };
    return this.#copy.journal?.writes.holds?.(offered(name, write)) === true;
  }

  /** Takes a write into the journal; undefined when it takes none. @throws JOURNAL_FULL, ALREADY_EXISTS, VALIDATION_FAILED; `error` for what it cannot know */
  async take(namespace: string, { write }: JournalForm, error: HoldfastError): Promise<WriteResult | undefined> {
    const name = this.#home.collectionOf(namespace);
    if (name === undefined) return undefined;
    try {
      const taken = this.#copy.journal?.writes.take({ ...offered(name, write), error });
      return (await taken) as WriteResult | undefined;
    } catch (thrown) {
      if (!isHoldfastError(thrown, 'UNSUPPORTED_OPERATOR')) throw thrown;
      const details = { ...error.details, operator: thrown.details.operator };
      throw new HoldfastError(
        'DATABASE_UNAVAILABLE',
        `${error.message}; the journal cannot make a ${details.operator}`,
        {
          ...{ cause: error, details },
        },
      );
    }
  }

  /** Brings what waits for a scope to the database, when it is followed by then. */
  async recover({ collection, operation }: Scope): Promise<void> {
    const name = collection === undefined ? undefined : this.#home.collectionOf(collection);
    if (!this.#copy.isFollowing || (collection !== undefined && name === undefined)) return;
    await this.#copy.journal?.recover({ collection: name, operation });
  }

  /** Whether writes may wait. */
  get journals(): boolean {
    return this.#copy.journal !== undefined;
  }

  /** Undefined when writes do not wait. */
  get journal(): JournalService | undefined {
    return this.#copy.journal?.service;
  }

  status(): ClientLiveStatus {
    const { isComplete: complete, isFollowing: following, journal } = this.#copy;
    return {
      ...{ complete, following, stalenessMs: this.#copy.tier.stalenessMs('') },
      journal: journal?.service?.counts() ?? null,
      problems: [...Array.from(this.#problems, (problem) => problem.join(': ')), ...(journal?.problems() ?? [])],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#started.catch(() => undefined);
    await this.#copy[Symbol.asyncDispose]();
  }

  #nameOf(namespace: string): string {
    return this.#home.collectionOf(namespace) ?? namespace;
  }
}

function offered(collection: string, write: Pick<OfferedWrite, 'method' | 'arguments' | 'options'>): OfferedWrite {
  return { ...write, collection, principal: PRINCIPAL };
}

function troublesOf({ logger }: FallbackSettings, problems: Map<string, string>): Troubles {
  return {
    set(what, error) {
      const before = problems.get(what);
      if (error === null) {
        if (problems.delete(what)) logger?.info({}, `no longer: ${what}`);
        return;
      }
      problems.set(what, error instanceof Error ? error.message : String(error));
      if (before === undefined) logger?.error({ err: error }, what);
    },
    warn: (work, err) => logger?.warn({ err }, `the ${work} of the database did not end; the next one tries again`),
  };
}
