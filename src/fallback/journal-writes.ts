import { HoldfastError } from '../errors.ts';
import { type Document, type DocumentText, decodeDocument, encodeDocument, encodeValue } from '../model/document.ts';
import type { Position } from '../model/position.ts';
import { documentKey } from '../store/idempotency.ts';
import { prepareDocument } from '../store/prepared-document.ts';
import type {
  BulkOptions,
  BulkResult,
  Filter,
  IdempotencyKey,
  Update,
  WriteOptions,
  WriteResult,
} from '../store/store.ts';
import { MAX_DOCUMENTS, Tally } from '../store/tally.ts';
import { compileUpdate } from '../store/update.ts';
import { full, type Journal, type JournalCall } from './journal.ts';
import type { JournalDraft, JournalEntry, JournalMethod } from './journal-entry.ts';
import { claimsOf, JournalView, type LiveDocuments, type Seen } from './journal-view.ts';
import type { OverlaidDocument, Overlay } from './overlay.ts';
import { soleId } from './question.ts';
import { placeOf } from './waiting.ts';
import type { Journaled, OfferedWrite, RefusedWrite, WriteFallback, WriteMethod } from './write-fallback.ts';

export interface JournalWritesOptions {
  readonly journal: Journal;
  /** Whether writes of a collection may wait: `@fallback(writes: JOURNAL)`. */
  readonly takes: (collection: string) => boolean;
  /** Stored paths whose values belong to one document. */
  readonly uniquePaths: (collection: string) => readonly string[];
  /** What is known of the documents in the database. */
  readonly live: LiveDocuments;
  readonly sdlHash: string;
  /** Refuses documents that the database could not store. @throws VALIDATION_FAILED */
  readonly check?: ((document: Document, text: DocumentText) => void) | undefined;
  /** Called with the number of entries after they are durable. */
  readonly onAppended?: ((entries: number) => void) | undefined;
  /** Milliseconds since 1970. Default Date.now. */
  readonly now?: (() => number) | undefined;
}

type Single = WriteResult & Journaled;
type Bulk = BulkResult & Journaled;

/** What a write of one document makes of what is there. */
interface Made {
  readonly method: JournalMethod;
  readonly argument: DocumentText | null;
  readonly image: DocumentText | null;
}

/** How often a write is prepared anew because the copy got something newer meanwhile. */
const TRIES = 5;

/**
 * Takes writes into the journal while the database is away, of the entities that say so: checked as the database would, resolved to single
 * documents by a copy that has them all, answered when they are on disk. SPEC.md, section "The journal".
 */
export class JournalWrites implements WriteFallback {
  readonly #options: JournalWritesOptions;
  readonly #view: JournalView;
  /** By collection, the end of the writes that are being entered: each must see those before it. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(options: JournalWritesOptions) {
    this.#options = options;
    this.#view = new JournalView(options);
  }

  take(write: RefusedWrite): Promise<WriteResult | BulkResult> | undefined {
    const { collection, method, principal, error } = write;
    if (principal === undefined || !this.#options.takes(collection) || keyOf(write) === undefined) return undefined;
    // What a bulk write that may have begun would have written cannot be told from what is there now.
    const isBulk = method === 'updateMany' || method === 'deleteMany';
    if (isBulk && error.code === 'WRITE_OUTCOME_UNKNOWN') return undefined;
    return this.#taken(write, principal);
  }

  repeated(write: OfferedWrite): WriteResult | BulkResult | undefined {
    const key = keyOf(write);
    if (key === undefined || key.fresh === true || !this.#options.takes(write.collection)) return undefined;
    const { method, options } = write;
    if (method === 'updateMany' || method === 'deleteMany') {
      const call = this.#options.journal.callOfKey(key.key);
      return call && this.#recalled(call, key);
    }
    if (method !== 'insertMany') return this.#single(key);
    const results = ((options as BulkOptions).idempotency ?? []).map((each) => this.#single(each));
    // Those that are not in the journal are the database's, or nobody's.
    return results.every((result) => result !== undefined) ? this.#bulk(results) : undefined;
  }

  holds({ collection, method, arguments: [first] }: OfferedWrite): boolean {
    const { waiting } = this.#options.journal;
    if (!waiting.has(collection)) return false;
    const ids = idsOf(method, first);
    return ids === undefined || ids.some((id) => waiting.of(placeOf(collection, id)).length > 0);
  }

  overlay(collection: string, principal: string | undefined): Overlay | undefined {
    const { waiting } = this.#options.journal;
    if (principal === undefined || !waiting.has(collection)) return undefined;
    const found = new Map<string, OverlaidDocument>();
    for (const place of waiting.places(collection)) {
      const last = waiting.of(place).findLast((entry) => entry.isDurable && entry.principal === principal);
      if (last !== undefined) found.set(place, last);
    }
    return found.size === 0 ? undefined : found;
  }

  async #taken(write: RefusedWrite, principal: string): Promise<WriteResult | BulkResult> {
    const { collection } = write;
    const before = this.#turns.get(collection) ?? Promise.resolve();
    const entered = before.then(() => this.#enter(write, principal));
    const turn = entered.catch(() => undefined);
    this.#turns.set(collection, turn);
    void turn.then(() => {
      if (this.#turns.get(collection) === turn) this.#turns.delete(collection);
    });
    try {
      const { result, durable } = await entered;
      await durable;
      return result;
    } catch (error) {
      // A page of the file may be damaged: https://nodejs.org/api/sqlite.html
      if ((error as { code?: unknown }).code !== 'ERR_SQLITE_ERROR') throw error;
      throw full((error as Error).message, error);
    }
  }

  /** Enters a write; others may enter before it is durable. */
  async #enter(write: RefusedWrite, principal: string): Promise<Entered<WriteResult | BulkResult>> {
    const { method, arguments: args } = write;
    const known = this.repeated(write);
    if (known !== undefined) return { result: known };
    switch (method) {
      case 'insertOne':
        return this.#insertOne(write, args[0] as Document, principal);
      case 'insertMany':
        return this.#insertMany(write, args[0] as readonly Document[], principal);
      case 'updateOne':
      case 'replaceOne':
      case 'deleteOne':
        return this.#changeOne(write, args[0] as Filter, changing(method, args[1]), principal);
      case 'updateMany':
        return this.#changeMany(write, args[0] as Filter, changing('updateOne', args[1]), principal);
      case 'deleteMany':
        return this.#changeMany(write, args[0] as Filter, changing('deleteOne', undefined), principal);
    }
  }

  async #insertOne(write: RefusedWrite, document: Document, principal: string): Promise<Entered<WriteResult>> {
    const found = await this.#insertion(write.collection, document, singleKey(write), principal, new Set());
    if ('matchedCount' in found) return { result: found };
    return this.#append([found], ([entry]) => this.#result(entry as JournalEntry, false));
  }

  async #insertMany(
    write: RefusedWrite,
    documents: readonly Document[],
    principal: string,
  ): Promise<Entered<BulkResult>> {
    const keys = (write.options as BulkOptions).idempotency as readonly IdempotencyKey[];
    const tally = new Tally(this.#options.live.position());
    const drafts: JournalDraft[] = [];
    const inCall = new Set<string>();
    /** In the order of the input. */
    const results: (WriteResult | 'NEW')[] = [];
    for (const [index, document] of documents.entries()) {
      try {
        const key = keys[index] as IdempotencyKey;
        const found = await this.#insertion(write.collection, document, key, principal, inCall);
        if ('matchedCount' in found) results.push(found);
        else {
          drafts.push(found);
          results.push('NEW');
        }
      } catch (error) {
        tally.refuse(index, error);
      }
    }
    return this.#append(drafts, (entries) => {
      const added = entries.values();
      for (const result of results) {
        tally.add(result === 'NEW' ? this.#result(added.next().value as JournalEntry, false) : result);
      }
      return journaledMany(tally);
    });
  }

  /** The entry for a new document, or what its key was answered before. `inCall`: what the same call claims; added to. */
  async #insertion(
    collection: string,
    given: Document,
    key: IdempotencyKey,
    principal: string,
    inCall: Set<string>,
  ): Promise<JournalDraft | WriteResult> {
    const known = this.#single(key);
    if (known !== undefined) return known;
    const { document, id, text } = prepareDocument(given);
    this.#options.check?.(document, text);
    const place = placeOf(collection, document._id);
    const committed = this.#committed(key);
    if (committed !== undefined) return committed;
    await this.#requireUnique(collection, place, document, inCall);
    // It may have come with the log just now.
    const late = this.#committed(key);
    if (late !== undefined) return late;
    const last = this.#options.journal.waiting.of(place).at(-1);
    const isThere = last === undefined ? this.#view.row(collection, id) !== undefined : last.document !== null;
    if (isThere || inCall.has(place)) {
      const message = `"${collection}" already has a document with the _id ${id}`;
      throw new HoldfastError('ALREADY_EXISTS', message, { details: { fields: ['_id'] } });
    }
    inCall.add(place);
    const seen: Seen = { place, id, _id: document._id, base: null, baseVersion: null, after: last?.seq ?? null };
    return this.#draft(collection, seen, { method: 'insertOne', argument: text, image: text }, key, principal, false);
  }

  async #changeOne(
    write: RefusedWrite,
    filter: Filter,
    make: (base: Document) => Made,
    principal: string,
  ): Promise<Entered<WriteResult>> {
    const { collection, options } = write;
    const key = singleKey(write);
    const { ifVersion } = options as WriteOptions;
    for (let tries = 1; ; tries++) {
      const [seen] = await this.#found(write, filter, principal, 1);
      const committed = this.#committed(key);
      if (committed !== undefined) return { result: committed };
      if (seen === undefined) {
        if (this.#view.isDeleted(collection, filter, principal)) return { result: this.#nothing() };
        // The copy may not have it yet.
        throw write.error;
      }
      requireVersion(collection, seen, ifVersion, write);
      const made = make(decodeDocument(seen.base as DocumentText));
      await this.#requireStorable(collection, seen, made, new Set());
      if (this.#view.isCurrent(collection, seen)) {
        const draft = this.#draft(collection, seen, made, key, principal, ifVersion !== undefined);
        return this.#append([draft], ([entry]) => this.#result(entry as JournalEntry, false));
      }
      if (tries === TRIES) throw write.error;
    }
  }

  async #changeMany(
    write: RefusedWrite,
    filter: Filter,
    make: (base: Document) => Made,
    principal: string,
  ): Promise<Entered<BulkResult>> {
    const { collection } = write;
    const operation = keyOf(write) as IdempotencyKey;
    const tally = new Tally(this.#options.live.position());
    const drafts: JournalDraft[] = [];
    const inCall = new Set<string>();
    for (const [index, seen] of (await this.#found(write, filter, principal)).entries()) {
      try {
        const made = make(decodeDocument(seen.base as DocumentText));
        await this.#requireStorable(collection, seen, made, inCall);
        drafts.push(this.#draft(collection, seen, made, documentKey(operation, seen.id), principal, false));
      } catch (error) {
        tally.refuse(index, error);
      }
    }
    const keys = drafts.map(({ key }) => key);
    const { key, digest } = operation;
    const call: JournalCall = { key, digest, answer: { matched: keys.length + tally.matched, keys } };
    return this.#append(
      drafts,
      (entries) => {
        for (const entry of entries) tally.add(this.#result(entry, false));
        return journaledMany(tally);
      },
      call,
    );
  }

  /** The documents that match, as the principal sees them. @throws the error of the write when that is not known */
  async #found(write: RefusedWrite, filter: Filter, principal: string, limit?: number): Promise<readonly Seen[]> {
    const found = await this.#view.find(write.collection, filter, principal, limit);
    if (found === undefined) throw write.error;
    return found;
  }

  async #requireStorable(collection: string, { place, id }: Seen, { image }: Made, inCall: Set<string>): Promise<void> {
    if (image === null) return;
    const document = decodeDocument(image);
    if (encodeValue(document._id) !== id) {
      throw new HoldfastError(
        'VALIDATION_FAILED',
        `the _id of a document cannot be changed (${id} of "${collection}")`,
      );
    }
    this.#options.check?.(document, image);
    await this.#requireUnique(collection, place, document, inCall);
  }

  /** As far as it can be known here; the replay finds what cannot. @throws ALREADY_EXISTS */
  async #requireUnique(collection: string, place: string, document: Document, inCall: Set<string>): Promise<void> {
    const paths = this.#options.uniquePaths(collection);
    const ofCall = paths.find((path) => claimsOf(collection, document, [path]).some((claim) => inCall.has(claim)));
    const taken = ofCall ?? (await this.#view.takenPath(collection, place, document));
    if (taken === undefined) {
      for (const claim of claimsOf(collection, document, paths)) inCall.add(claim);
      return;
    }
    const message = `another document of "${collection}" has the same ${taken}`;
    throw new HoldfastError('ALREADY_EXISTS', message, { details: { fields: [taken] } });
  }

  #draft(
    collection: string,
    { id, base, baseVersion, after }: Seen,
    { method, argument, image }: Made,
    { key, digest }: IdempotencyKey,
    principal: string,
    strict: boolean,
  ): JournalDraft {
    const { live, sdlHash, now = Date.now } = this.#options;
    return {
      ...{ key, digest, collection, id, method, argument, baseVersion, after, strict, base, image, principal, sdlHash },
      ...{ epoch: live.position().epoch, at: now() },
    };
  }

  #append<T>(
    drafts: readonly JournalDraft[],
    answer: (entries: readonly JournalEntry[]) => T,
    call?: JournalCall,
  ): Entered<T> {
    const { journal, onAppended } = this.#options;
    const { entries, durable } = journal.append(drafts, call);
    return { result: answer(entries), durable: durable.then(() => onAppended?.(drafts.length)) };
  }

  /** What is answered for an entry, now and whenever its key comes again. */
  #result({ seq, method, image, base }: JournalEntry, repeated: boolean): Single {
    const text = method === 'deleteOne' ? base : image;
    return {
      ...{ matchedCount: 1, modifiedCount: 1, document: text === null ? null : decodeDocument(text) },
      ...{ version: null, position: this.#options.live.position(), repeated, journalId: String(seq) },
    };
  }

  /** The first answer under the key of one document. @throws VALIDATION_FAILED; CONFLICT when an operator gave the entry up */
  #single(key: IdempotencyKey): Single | undefined {
    const entry = this.#options.journal.entryOfKey(key.key);
    if (entry === undefined) return undefined;
    requireSame(entry.digest, key);
    if (entry.state === 'DISCARDED') {
      throw new HoldfastError(
        'CONFLICT',
        `this write waited in the journal as entry ${entry.seq}; an operator gave it up`,
      );
    }
    return this.#result(entry, true);
  }

  /** The answer of the database to a write under this key, when the copy has it already. */
  #committed({ key }: IdempotencyKey): WriteResult | undefined {
    const entry = this.#options.live.entryOfKey(key);
    if (entry === undefined) return undefined;
    const { image, version, epoch, sequence } = entry;
    return {
      ...{ matchedCount: 1, modifiedCount: 1, document: image === null ? null : decodeDocument(image), version },
      ...{ position: { epoch, sequence }, repeated: true },
    };
  }

  #recalled({ digest, answer }: JournalCall, key: IdempotencyKey): Bulk {
    requireSame(digest, key);
    const { journal } = this.#options;
    const entries = answer.keys.slice(0, MAX_DOCUMENTS).flatMap((each) => journal.entryOfKey(each) ?? []);
    return {
      ...this.#bulk(entries.map((entry) => this.#result(entry, true))),
      ...{ matchedCount: answer.matched, modifiedCount: answer.keys.length },
    };
  }

  #bulk(results: readonly WriteResult[]): Bulk {
    const tally = new Tally(this.#options.live.position());
    for (const result of results) tally.add(result);
    return journaledMany(tally);
  }

  #nothing(): WriteResult {
    const position: Position = this.#options.live.position();
    return { matchedCount: 0, modifiedCount: 0, document: null, version: null, position, repeated: false };
  }
}

/** A write that was entered, and when it is on disk; undefined: nothing was to be written. */
interface Entered<T> {
  readonly result: T;
  readonly durable?: Promise<unknown> | undefined;
}

function journaledMany(tally: Tally): Bulk {
  return { ...tally.result(), journalId: null };
}

function keyOf({ method, options }: OfferedWrite): IdempotencyKey | undefined {
  if (method === 'insertMany') return (options as BulkOptions).idempotency?.[0];
  const { idempotency } = options as WriteOptions;
  return method === 'updateMany' || method === 'deleteMany' ? (options as BulkOptions).operation : idempotency;
}

function singleKey({ options }: OfferedWrite): IdempotencyKey {
  return (options as WriteOptions).idempotency as IdempotencyKey;
}

/** Ids that a write concerns; undefined when they are not known by its arguments. */
function idsOf(method: WriteMethod, first: unknown): readonly unknown[] | undefined {
  if (method === 'insertOne') return [(first as Document)._id];
  if (method === 'insertMany') return (first as readonly Document[]).map(({ _id }) => _id);
  const id = method === 'updateMany' || method === 'deleteMany' ? undefined : soleId(first as Filter);
  return id === undefined ? undefined : [id];
}

/** What a method makes of a document. */
function changing(method: 'updateOne' | 'replaceOne' | 'deleteOne', argument: unknown): (base: Document) => Made {
  if (method === 'deleteOne') return () => ({ method, argument: null, image: null });
  const text = encodeDocument(argument as Document);
  if (method === 'replaceOne') {
    return ({ _id }) => ({ method, argument: text, image: encodeDocument({ _id, ...(argument as Document) }) });
  }
  const change = compileUpdate(argument as Update);
  return (base) => ({ method, argument: text, image: encodeDocument(change(base).document) });
}

/** @throws CONFLICT when the document is known to have another version than the one asked for; the error of the write when that is not known */
function requireVersion(
  collection: string,
  { id, base, baseVersion, after }: Seen,
  ifVersion: number | undefined,
  write: RefusedWrite,
): void {
  if (ifVersion === undefined || (after === null && baseVersion === ifVersion)) return;
  // The copy may not have that version yet.
  if (after === null && (baseVersion ?? 0) < ifVersion) throw write.error;
  throw new HoldfastError('CONFLICT', `${id} of "${collection}" does not have version ${ifVersion} any more`, {
    details: { current: base === null ? null : decodeDocument(base), currentVersion: baseVersion },
  });
}

function requireSame(known: string, { digest }: IdempotencyKey): void {
  if (known === digest) return;
  throw new HoldfastError('VALIDATION_FAILED', 'this idempotency key was used before, with other arguments');
}
