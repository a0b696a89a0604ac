import { type Binary, type Collection, type Db, type Document, MongoServerError } from 'mongodb';
import { GENESIS_CHAIN, type Hash, type LogEntry } from '../model/change.ts';
import { within } from '../store/mongo-deadline.ts';
import { type DurableLevel, durableLevel, META, writeBarrier } from '../store/mongo-durable.ts';
import { isDuplicateKey } from '../store/mongo-errors.ts';
import type { KeyedEntry } from '../store/outbox.ts';
import { failpoint } from '../util/failpoint.ts';
import type { EpochStart, ReadLimits } from './change-log.ts';
import type { LogFacts, LogPage, LogStorage, Refusal } from './log-storage.ts';
import {
  decodeEntry,
  type EntryDocument,
  encodeEntry,
  type KeyDocument,
  type PartDocument,
  partNames,
} from './mongo-log-documents.ts';

const LOG = 'holdfast_log';
const PARTS = 'holdfast_log_parts';
const KEYS = 'holdfast_keys';

/** Id of the document of `holdfast_meta` that is ours: what is known of the log. */
const FACTS = 'log';

/** Durable on a majority, and in the journal: what is acknowledged survives the loss of any server. */
const WRITE_CONCERN = { w: 'majority', j: true };

/** Building an index of a log that lost it takes as long as it takes, within reason. */
const PREPARE_MS = 120_000;

/** Numbers as numbers, whatever the client was told: all of ours are exact as doubles. */
const BSON = {
  promoteValues: true,
  promoteLongs: true,
  useBigInt64: false,
  promoteBuffers: false,
  raw: false,
} as const;

interface FactsDocument extends LogFacts {
  readonly _id: string;
}

export interface MongoLogStorageOptions {
  readonly database: Db;
  /** Deadline of one command in ms. */
  readonly timeoutMs: number;
  /** Identity given to a database that has none yet. */
  readonly newLogId: string;
}

/** The log in four collections of a MongoDB database. See ../store/SPEC.md. */
export class MongoLogStorage implements LogStorage {
  readonly name: string;
  readonly #database: Db;
  readonly #timeoutMs: number;
  readonly #newLogId: string;
  #level: DurableLevel = 'majority';
  /** Entries up to this sequence are known to outlive a crash of a server alone. */
  #durable = 0;

  constructor({ database, timeoutMs, newLogId }: MongoLogStorageOptions) {
    this.name = `database ${database.databaseName}`;
    this.#database = database;
    this.#timeoutMs = timeoutMs;
    this.#newLogId = newLogId;
  }

  async prepare(): Promise<void> {
    const hello = await this.#command({ hello: 1 });
    this.#level = durableLevel(hello);
    const version = { name: 'version', key: { collection: 1, id: 1, version: 1 }, unique: true, sparse: true };
    const key = { name: 'key', key: { key: 1 }, unique: true, sparse: true };
    await this.#command({ createIndexes: LOG, indexes: [version, key], writeConcern: WRITE_CONCERN }, PREPARE_MS);
    const age = { name: 'at', key: { at: 1 } };
    await this.#command({ createIndexes: KEYS, indexes: [age], writeConcern: WRITE_CONCERN }, PREPARE_MS);
    const epochs: EpochStart[] = [{ epoch: 1, firstSequence: 1 }];
    const facts: FactsDocument = { _id: FACTS, logId: this.#newLogId, epochs, floor: 1, floorChain: GENESIS_CHAIN };
    // Who comes first gives the identity; the others are refused and read it.
    const refusal = await this.#insert(META, [facts]);
    if (refusal !== undefined && !isDuplicateKey(refusal.error)) throw refusal.error;
  }

  async facts(): Promise<LogFacts> {
    const facts = await this.#inTime(this.#collection<FactsDocument>(META).findOne({ _id: FACTS }, this.#options()));
    if (facts === null) throw new Error(`${META} of ${this.name} has lost its document "${FACTS}"`);
    const { logId, epochs, floor, floorChain } = facts;
    return { logId, epochs, floor, floorChain };
  }

  async newest(count: number): Promise<readonly LogEntry[]> {
    const cursor = this.#log.find({}, { ...this.#options(), projection: { image: 0, parts: 0 } });
    const documents = await this.#inTime(cursor.sort({ _id: -1 }).limit(count).toArray());
    // It may be another history than before.
    this.#durable = 0;
    await this.#settled(documents[0]?._id);
    return documents.reverse().map((document) => decodeEntry(document));
  }

  async read(after: number, upTo: number, { maxChanges, maxBytes }: ReadLimits): Promise<LogPage> {
    const limit = Math.max(1, maxChanges);
    const options = { ...this.#options(), limit, batchSize: Math.min(limit, 1_000) };
    const entries: LogEntry[] = [];
    let bytes = 0;
    let isCut = true;
    const cursor = this.#log.find({ _id: { $gt: after, $lte: upTo } }, options).sort({ _id: 1 });
    try {
      for (;;) {
        const document = await this.#inTime(cursor.next());
        if (document === null) {
          isCut = entries.length === limit;
          break;
        }
        const entry = await this.#entry(document);
        // Its image went while we read: it is trimmed.
        if (entry === undefined) break;
        bytes += entry.image?.length ?? 0;
        if (bytes > maxBytes && entries.length > 0) break;
        entries.push(entry);
      }
    } finally {
      // Nobody waits for it: the server may be gone.
      cursor.close().catch(() => undefined);
    }
    await this.#settled(entries.at(-1)?.sequence);
    return { entries, isCut };
  }

  async chainAt(sequence: number): Promise<Hash | undefined> {
    const options = { ...this.#options(), projection: { chain: 1 } };
    const found = await this.#inTime(this.#log.findOne({ _id: sequence }, options));
    await this.#settled(found?._id);
    return found?.chain;
  }

  async ofVersion(collection: string, id: string, version: number): Promise<LogEntry | undefined> {
    const document = await this.#inTime(this.#log.findOne({ collection, id, version }, this.#options()));
    await this.#settled(document?._id);
    return document === null ? undefined : this.#entry(document);
  }

  async ofKeys(keys: readonly string[]): Promise<readonly KeyedEntry[]> {
    const documents = await this.#inTime(this.#log.find({ key: anyOf(keys) }, this.#options()).toArray());
    await this.#settled(documents.reduce((highest, { _id }) => Math.max(highest, _id), 0));
    const entries = documents.map(async (document) => {
      const entry = await this.#entry(document);
      if (entry === undefined) return [];
      const { operation, collection, id, version, epoch, sequence, image } = entry;
      const { key = '', digest = '' } = document;
      return [{ key, digest, operation, collection, id, version, position: { epoch, sequence }, image }];
    });
    return (await Promise.all(entries)).flat();
  }

  async keptKeys(keys: readonly string[]): Promise<readonly KeyedEntry[]> {
    const found = this.#collection<KeyDocument>(KEYS).find({ _id: anyOf(keys) }, this.#options());
    const kept = await this.#inTime(found.toArray());
    return kept.map(({ _id: key, digest, operation, collection, id, version, epoch, sequence }) => {
      return { key, digest, operation, collection, id, version, position: { epoch, sequence }, image: null };
    });
  }

  async append(entries: readonly LogEntry[], digests: readonly (string | null)[]): Promise<Refusal | undefined> {
    const encoded = entries.map((entry, place) => encodeEntry(entry, digests[place] ?? null));
    // Each piece is a message of its own; who comes second finds it there.
    for (const part of encoded.flatMap(({ parts }) => parts)) {
      const refusal = await this.#insert(PARTS, [part]);
      if (refusal !== undefined && !isDuplicateKey(refusal.error)) throw refusal.error;
      failpoint('log.afterPart');
    }
    const refusal = await this.#insert(
      LOG,
      encoded.map(({ document }) => document),
    );
    const taken = refusal === undefined ? entries : entries.slice(0, refusal.index);
    this.#durable = Math.max(this.#durable, taken.at(-1)?.sequence ?? 0);
    return refusal;
  }

  async keepKeys(from: number, to: number): Promise<void> {
    const projection = { image: 0, parts: 0, before: 0, after: 0, chain: 0 };
    const filter = { _id: { $gte: from, $lt: to }, key: { $exists: true } };
    const entries = await this.#inTime(this.#log.find(filter, { ...this.#options(), projection }).toArray());
    if (entries.length === 0) return;
    const updates = entries.map(({ _id: sequence, key, digest, operation, collection, id, version, epoch, at }) => {
      const kept = { digest, operation, collection, id, version, epoch, sequence, at };
      return { q: { _id: key }, u: { $set: kept }, upsert: true };
    });
    const refused = await this.#write({ update: KEYS, updates, ordered: false });
    if (refused !== undefined) throw refused.error;
  }

  async raiseFloor(floor: number, floorChain: Hash): Promise<boolean> {
    const update = { q: { _id: FACTS, floor: { $lt: floor } }, u: { $set: { floor, floorChain } } };
    const reply = await this.#command({ update: META, updates: [update], writeConcern: WRITE_CONCERN });
    const refusal = refusalIn(reply);
    if (refusal !== undefined) throw refusal.error;
    return reply.n === 1;
  }

  async removeBelow(floor: number): Promise<void> {
    const below = { _id: { $lt: floor } };
    const large = this.#log.find(
      { ...below, parts: { $exists: true } },
      { ...this.#options(), projection: { image: 0 } },
    );
    const names = (await this.#inTime(large.toArray())).flatMap(partNames);
    const parts = { q: { _id: { $in: names } }, limit: 0 };
    const refused =
      (names.length === 0 ? undefined : await this.#write({ delete: PARTS, deletes: [parts] })) ??
      (await this.#write({ delete: LOG, deletes: [{ q: below, limit: 0 }] }));
    if (refused !== undefined) throw refused.error;
  }

  async removeKeys(before: number): Promise<number> {
    const deletes = [{ q: { at: { $lt: before } }, limit: 0 }];
    const reply = await this.#command({ delete: KEYS, deletes, writeConcern: WRITE_CONCERN });
    const refusal = refusalIn(reply);
    if (refusal !== undefined) throw refusal.error;
    return reply.n as number;
  }

  /**
   * Resolves when entries that were read, up to `sequence`, outlive a crash: a server alone shows a write before it is in the
   * journal, and a journaled write of our own comes after it there.
   */
  async #settled(sequence: number | undefined): Promise<void> {
    if (this.#level === 'majority' || sequence === undefined || sequence <= this.#durable) return;
    await this.#inTime(writeBarrier(this.#database));
    this.#durable = Math.max(this.#durable, sequence);
  }

  get #log(): Collection<EntryDocument> {
    return this.#collection<EntryDocument>(LOG);
  }

  #collection<T extends Document>(name: string): Collection<T> {
    return this.#database.collection<T>(name, { ...BSON, readConcern: { level: this.#level } });
  }

  /** The entry with its image; undefined when that was removed in the meantime. */
  async #entry(document: EntryDocument): Promise<LogEntry | undefined> {
    const names = partNames(document);
    if (names.length === 0) return decodeEntry(document);
    const bytes: Binary[] = [];
    for (const name of names) {
      const part = await this.#inTime(this.#collection<PartDocument>(PARTS).findOne({ _id: name }, this.#options()));
      if (part === null) return undefined;
      bytes.push(part.bytes);
    }
    return decodeEntry(
      document,
      Buffer.concat(bytes.map(({ buffer, position }) => buffer.subarray(0, position))).toString(),
    );
  }

  #insert(collection: string, documents: readonly object[]): Promise<Refusal | undefined> {
    return this.#write({ insert: collection, documents, ordered: true });
  }

  /** The driver's own bulk writes wrap what they meet in errors of one type; the reply of the command says it plainly. */
  async #write(command: Document): Promise<Refusal | undefined> {
    return refusalIn(await this.#command({ ...command, writeConcern: WRITE_CONCERN }));
  }

  #command(command: Document, timeoutMs = this.#timeoutMs): Promise<Document> {
    return within(timeoutMs, this.#database.command(command, { ...BSON, signal: AbortSignal.timeout(timeoutMs) }));
  }

  /** The deadline holds whatever the driver does: who reads on or appends has the log for itself until then. */
  #inTime<T>(answer: Promise<T>): Promise<T> {
    return within(this.#timeoutMs, answer);
  }

  /** Frees the connection of a call that nobody waits for any more. */
  #options(): { readonly signal: AbortSignal } {
    return { signal: AbortSignal.timeout(this.#timeoutMs) };
  }
}

/** The first write error of a reply. Its count is not used: not every server counts right when there is one. */
function refusalIn(reply: Document): Refusal | undefined {
  const first = (reply.writeErrors as (Document & { index: number })[] | undefined)?.[0];
  return first === undefined ? undefined : { index: first.index, error: new MongoServerError(first) };
}

/** The usual single one is compared: that is an index's simplest task. */
function anyOf(keys: readonly string[]): string | { readonly $in: readonly string[] } {
  const [first] = keys;
  return keys.length === 1 && first !== undefined ? first : { $in: keys };
}
