import type { ChangeLog, EpochStart, LogHead, ReadLimits } from '../../src/changelog/change-log.ts';
import { HoldfastError } from '../../src/errors.ts';
import {
  type Change,
  chainHash,
  documentHash,
  GENESIS_CHAIN,
  type Hash,
  type LogEntry,
} from '../../src/model/change.ts';
import type { DocumentText } from '../../src/model/document.ts';
import { Buckets, bucketOf } from '../../src/protocol/digest.ts';
import type { Row, RowHead } from '../../src/protocol/sync-source.ts';
import type { RowReader } from '../../src/store/row-store.ts';

/** A change log in memory that can be trimmed, reset and spoilt. */
export class MemoryLog implements ChangeLog {
  logId = '1a'.repeat(16);
  generation = 0;
  /** Calls of `read` and `entry`, to count what is shared. */
  reads = 0;
  readonly #listeners = new Set<() => void>();
  #entries: LogEntry[] = [];
  #base: { sequence: number; chain: Hash } = { sequence: 0, chain: GENESIS_CHAIN };
  #epochs: EpochStart[] = [{ epoch: 1, firstSequence: 1 }];

  head(): LogHead {
    const last = this.#entries.at(-1);
    if (last !== undefined) return last;
    return { ...this.#base, epoch: this.#epochs.at(-1)?.epoch ?? 1, at: 0 };
  }

  floor(): number {
    return this.#base.sequence + 1;
  }

  floorChain(): Hash {
    return this.#base.chain;
  }

  epochs(): readonly EpochStart[] {
    return this.#epochs;
  }

  async read(after: number, limits: ReadLimits): Promise<readonly LogEntry[]> {
    this.reads += 1;
    if (after < this.#base.sequence) {
      throw new HoldfastError('CURSOR_EXPIRED', `${after} is before ${this.floor()}`);
    }
    const entries: LogEntry[] = [];
    let bytes = 0;
    const start = after - this.#base.sequence;
    for (const entry of this.#entries.slice(start, start + limits.maxChanges)) {
      bytes += entry.image?.length ?? 0;
      if (bytes > limits.maxBytes && entries.length > 0) break;
      entries.push(entry);
    }
    return entries;
  }

  async entry(sequence: number): Promise<LogEntry | undefined> {
    return this.#entries[sequence - this.floor()];
  }

  async trim(floor: number): Promise<number> {
    const count = Math.min(floor, this.head().sequence) - this.floor();
    if (count <= 0) return 0;
    const last = this.#entries.splice(0, count).at(-1) as LogEntry;
    this.#base = { sequence: last.sequence, chain: last.chain };
    return count;
  }

  onAdvance(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Appends and tells, once for all the changes. */
  append(...changes: readonly Change[]): void {
    for (const change of changes) {
      const { epoch, sequence, chain } = this.head();
      const next = sequence + 1;
      const inEpoch = change.operation === 'EPOCH' ? epoch + 1 : epoch;
      if (inEpoch > epoch) this.#epochs.push({ epoch: inEpoch, firstSequence: next });
      this.#entries.push({
        ...change,
        epoch: inEpoch,
        sequence: next,
        chain: chainHash(chain, inEpoch, next, change),
      });
    }
    this.tell();
  }

  /** Becomes another history that goes on after `sequence`. */
  reset(sequence: number, chain: Hash, logId: string = this.logId): void {
    this.logId = logId;
    this.generation += 1;
    this.#entries = [];
    this.#base = { sequence, chain };
    this.tell();
  }

  /** Replaces an entry by a copy with other fields, behind everybody's back. */
  spoil(sequence: number, fields: Partial<LogEntry>): void {
    const at = sequence - this.floor();
    this.#entries[at] = { ...(this.#entries[at] as LogEntry), ...fields };
  }

  tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Log and rows of one node in memory: a write changes both. */
export class MemoryNode implements RowReader {
  readonly log = new MemoryLog();
  readonly #rows = new Map<string, Map<DocumentText, Row>>();
  readonly #buckets = new Map<string, Buckets>();
  #version = 1_000;

  constructor(collections: readonly string[]) {
    for (const collection of collections) {
      this.#rows.set(collection, new Map());
      this.#buckets.set(collection, new Buckets());
    }
  }

  /** Stores the documents, each a change; `null` deletes. One append for all. */
  write(collection: string, documents: Readonly<Record<string, DocumentText | null>>): void {
    this.log.append(
      ...Object.entries(documents).map(([id, text]) => this.#change(collection, JSON.stringify(id), text)),
    );
  }

  /** Begins the next epoch. */
  promote(): void {
    this.log.append({
      operation: 'EPOCH',
      collection: '',
      id: '',
      version: 0,
      at: 0,
      before: null,
      after: null,
      image: null,
      key: null,
    });
  }

  collections(): readonly string[] {
    return [...this.#rows.keys()];
  }

  page(
    collection: string,
    after: string | null,
    limit: number,
    maxBytes: number,
  ): { rows: Row[]; next: string | null } {
    const all = [...this.#table(collection).values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    const rest = all.filter((row) => after === null || row.id > after);
    const rows: Row[] = [];
    let bytes = 0;
    for (const row of rest.slice(0, limit)) {
      bytes += row.text.length;
      if (bytes > maxBytes && rows.length > 0) break;
      rows.push(row);
    }
    return { rows, next: rows.length < rest.length ? (rows.at(-1)?.id ?? null) : null };
  }

  rows(collection: string, ids: readonly DocumentText[]): Row[] {
    const table = this.#table(collection);
    return ids.map((id) => table.get(id)).filter((row) => row !== undefined);
  }

  bucketRows(collection: string, bucket: number): RowHead[] {
    return [...this.#table(collection).values()]
      .filter(({ id }) => bucketOf(id) === bucket)
      .map(({ id, version, text }) => ({ id, version, hash: documentHash(collection, id, version, text) }));
  }

  buckets(collection: string): Buckets {
    return this.#buckets.get(collection) as Buckets;
  }

  async scrub(collection: string): Promise<{ position: { epoch: number; sequence: number }; buckets: Buckets }> {
    return { position: this.log.head(), buckets: this.buckets(collection).clone() };
  }

  #change(collection: string, id: DocumentText, text: DocumentText | null): Change {
    const table = this.#table(collection);
    const old = table.get(id);
    const version = ++this.#version;
    const before = old === undefined ? null : documentHash(collection, id, old.version, old.text);
    const after = text === null ? null : documentHash(collection, id, version, text);
    const buckets = this.buckets(collection);
    if (before !== null) buckets.subtract(bucketOf(id), before);
    if (after !== null) buckets.add(bucketOf(id), after);
    if (text === null) table.delete(id);
    else table.set(id, { id, version, text });
    const operation = text === null ? 'DELETED' : old === undefined ? 'CREATED' : 'UPDATED';
    return { operation, collection, id, version, at: version, before, after, image: text, key: null };
  }

  #table(collection: string): Map<DocumentText, Row> {
    return this.#rows.get(collection) as Map<DocumentText, Row>;
  }
}
