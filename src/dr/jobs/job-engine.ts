import { HoldfastError } from '../../errors.ts';
import { openSql, type SqlSource } from '../../sql/connect.ts';
import { nearest } from '../../util/nearest.ts';
import type { EncryptionKey } from '../archive/encryption-key.ts';
import { showArchive } from '../archives.ts';
import { backup } from '../backup.ts';
import { checkBackup } from '../check-backup.ts';
import { parseCompression } from '../compression.ts';
import { dropScratch } from '../dialect/scratch.ts';
import type { OnProgress } from '../progress.ts';
import { checkRestore, restore } from '../restore.ts';
import { VerifyLevel } from '../verified-file.ts';
import { verify } from '../verify.ts';
import type { ArchiveShelf } from './archive-shelf.ts';
import { JobKind, type JobOrder, type JobRecord } from './job-record.ts';

/** A database of the configuration. */
export interface NamedDatabase {
  readonly source: SqlSource;
  readonly suffixes: Readonly<Record<string, string>>;
}

/** How a piece of work is followed and ended. */
export interface JobWork {
  /** A restore that began before goes on. */
  readonly resume: boolean;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal;
}

/** Carries orders out. */
export interface JobEngine {
  /**
   * Checks everything that can be checked in a moment, and writes nothing. The work itself checks it all again.
   * @throws what the work would throw
   */
  check(order: JobOrder, options: { readonly resume: boolean; readonly signal: AbortSignal }): Promise<void>;
  /** Returns when it is done, durable. @returns what a person should know */
  run(job: Pick<JobRecord, 'id' | 'order'>, work: JobWork): Promise<readonly string[]>;
  /** What became of an interrupted backup or verification: true for a backup that is whole all the same; else nothing is left of it. */
  settle(job: Pick<JobRecord, 'id' | 'order'>): Promise<boolean>;
  /** The database that an order writes, the same for two names of it; null when it writes none. @throws DR_NOT_FOUND, CONFIG_INVALID */
  targetOf(order: JobOrder): string | null;
}

export interface DatabaseEngineOptions {
  /** By name. */
  readonly databases: ReadonlyMap<string, NamedDatabase>;
  readonly shelf: ArchiveShelf;
  /** Read anew for each piece of work. */
  readonly key: () => Promise<EncryptionKey | undefined>;
  /** Where an order does not say. */
  readonly workers: number;
}

/** {@link JobEngine} by the functions that the command line uses as well. */
export class DatabaseEngine implements JobEngine {
  readonly #options: DatabaseEngineOptions;

  constructor(options: DatabaseEngineOptions) {
    this.#options = options;
  }

  async check(
    order: JobOrder,
    { resume, signal }: { readonly resume: boolean; readonly signal: AbortSignal },
  ): Promise<void> {
    switch (order.kind) {
      case JobKind.BACKUP:
        return checkBackup({ ...this.#backup(order), signal });
      case JobKind.RESTORE:
        return checkRestore({ ...(await this.#restore(order)), resume, signal });
      case JobKind.VERIFY:
        await this.#verify(order);
        await showArchive(await this.#options.shelf.find(order.backup), { key: await this.#options.key(), signal });
    }
  }

  async run({ id, order }: Pick<JobRecord, 'id' | 'order'>, work: JobWork): Promise<readonly string[]> {
    const { shelf, key: readKey } = this.#options;
    const { resume, ...followed } = work;
    switch (order.kind) {
      case JobKind.BACKUP: {
        const key = await readKey();
        const options = { ...this.#backup(order), out: shelf.placeFor(id), ...(key && { key }) };
        return (await backup({ ...options, ...followed })).consistency.notes;
      }
      case JobKind.RESTORE:
        return (await restore({ ...(await this.#restore(order)), ...work })).notices;
      case JobKind.VERIFY:
        await verify({ ...(await this.#verify(order)), scratch: scratchOf(id), ...followed });
        return [];
    }
  }

  async settle({ id, order }: Pick<JobRecord, 'id' | 'order'>): Promise<boolean> {
    if (order.kind === JobKind.BACKUP) return this.#options.shelf.settle(id);
    if (order.kind === JobKind.VERIFY && order.target !== null) {
      const { source } = this.database(order.target);
      await dropScratch(source, scratchOf(id));
    }
    return false;
  }

  targetOf(order: JobOrder): string | null {
    return order.kind === JobKind.RESTORE ? locationOf(this.database(order.target).source) : null;
  }

  #backup(order: Extract<JobOrder, { kind: 'BACKUP' }>) {
    const { source, suffixes } = this.database(order.source);
    const compression = parseCompression(order.compress);
    if (compression === undefined) {
      throw new HoldfastError('VALIDATION_FAILED', `compress: write none, zstd or zstd:LEVEL, not ${order.compress}`);
    }
    const { closure, format, tables } = order;
    return {
      ...{ source, closure, format, compression },
      workers: order.workers ?? this.#options.workers,
      suffixes: { ...suffixes, ...order.suffixes },
      ...(tables === null ? {} : { tables }),
    };
  }

  async #restore({ backup: name, target, workers, mode, tables, confirm }: Extract<JobOrder, { kind: 'RESTORE' }>) {
    const { shelf, key, workers: usual } = this.#options;
    return {
      target: this.database(target).source,
      from: await shelf.find(name),
      ...{ workers: workers ?? usual, mode, key: await key() },
      ...{ tables: tables ?? undefined, confirm: confirm ?? undefined },
    };
  }

  async #verify({ backup: name, level, target }: Extract<JobOrder, { kind: 'VERIFY' }>) {
    if ((level === VerifyLevel.DRILL) !== (target !== null)) {
      const what = level === VerifyLevel.DRILL ? 'a drill needs one' : 'only a drill has one';
      throw new HoldfastError('VALIDATION_FAILED', `target: ${what}: a database of the server that it is to run on`);
    }
    const { shelf, key, workers } = this.#options;
    return {
      ...{ level, workers, target: target === null ? undefined : this.database(target).source },
      from: await shelf.find(name),
      key: await key(),
    };
  }

  /** A database by its name: only what the configuration names can be touched. @throws DR_NOT_FOUND */
  database(name: string): NamedDatabase {
    const { databases } = this.#options;
    const found = databases.get(name);
    if (found !== undefined) return found;
    const meant = nearest(name, databases.keys());
    const hint = meant === undefined ? `it names ${[...databases.keys()].join(', ') || 'none'}` : `is it ${meant}?`;
    throw new HoldfastError('DR_NOT_FOUND', `dr.sources names no database ${name.slice(0, 100)}; ${hint}`);
  }
}

/** Scratch database of a drill: the same after a crash. */
function scratchOf(id: string): string {
  return `holdfast_drill_${id.slice(0, 18).toLowerCase()}_${id.slice(-6)}`;
}

/** `host:port/database`, without a connection. @throws CONFIG_INVALID */
export function locationOf(source: SqlSource): string {
  return openSql(source, { connections: 1, applicationName: 'holdfast' }).location;
}
