import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { MongoClient } from 'mongodb';
import { decodeEntry, type EntryDocument } from '../../../src/changelog/mongo-log-documents.ts';
import { chainHash, documentHash, GENESIS_CHAIN, type LogEntry } from '../../../src/model/change.ts';

/** Reads a change log as it lies on disk, past everything that serves it. */
export interface LogReader extends AsyncDisposable {
  /** Entries after `sequence`, in order. */
  read(sequence: number): Promise<readonly LogEntry[]>;
  /** By id of the documents that exist, their versions as stored; undefined where the store does not tell. */
  versions?(): Promise<ReadonlyMap<string, number>>;
}

/** The log of an embedded store that may be running. */
export function sqliteLog(directory: string): LogReader {
  const path = join(directory, 'holdfast.db');
  return {
    async read(sequence) {
      using database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
      const rows = database.prepare('SELECT * FROM log WHERE sequence > ? ORDER BY sequence').all(sequence);
      return rows as unknown as LogEntry[];
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** The log of the database at `url`. */
export function mongoLog(url: string): LogReader {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 10_000 });
  const database = client.db();
  return {
    async read(sequence) {
      const log = database.collection<EntryDocument>('holdfast_log');
      const found = await log.find({ _id: { $gt: sequence } }, { sort: { _id: 1 } }).toArray();
      return found.map((document) => decodeEntry(document));
    },
    async versions() {
      const things = database.collection<{ _id: string; _holdfast: { version: number; deleted?: true } }>('things');
      const found = await things.find({}, { projection: { _holdfast: 1 } }).toArray();
      return new Map(found.map(({ _id, _holdfast: { version } }) => [JSON.stringify(_id), version]));
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}

/** What a log must be, checked entry by entry as it grows. */
export class LogCheck {
  /** Entries seen. */
  entries = 0;
  readonly #reader: LogReader;
  #chain = GENESIS_CHAIN;
  readonly #last = new Map<string, LogEntry>();
  readonly #keys = new Set<string>();

  constructor(reader: LogReader) {
    this.#reader = reader;
  }

  /** Reads on. @throws Error when it is not dense and chained, or a document's changes do not lead from one to the next, or a key is there twice */
  async readOn(): Promise<void> {
    for (const entry of await this.#reader.read(this.entries)) this.#take(entry);
    const versions = await this.#reader.versions?.();
    for (const [id, version] of versions ?? []) {
      const logged = this.#last.get(id)?.version;
      if (logged !== version) throw new Error(`document ${id} has version ${version}; the log has ${logged}`);
    }
  }

  #take(entry: LogEntry): void {
    const { sequence, epoch, collection, id, version, key, image, after } = entry;
    const where = `entry ${sequence} of the log`;
    if (sequence !== this.entries + 1) throw new Error(`${where} follows ${this.entries}: not dense`);
    if (chainHash(this.#chain, epoch, sequence, entry) !== entry.chain) throw new Error(`${where} is not chained`);
    const before = this.#last.get(id);
    if (version <= (before?.version ?? 0)) throw new Error(`${where}: version ${version} after ${before?.version}`);
    if (entry.before !== (before?.after ?? null)) throw new Error(`${where} was not made on the one before`);
    if (image !== null && documentHash(collection, id, version, image) !== after) {
      throw new Error(`${where} has another image`);
    }
    if (key !== null && this.#keys.has(key)) throw new Error(`${where} has a key for the second time`);
    if (key !== null) this.#keys.add(key);
    this.entries = sequence;
    this.#chain = entry.chain;
    this.#last.set(id, entry);
  }
}
