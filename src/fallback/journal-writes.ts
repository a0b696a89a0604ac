import { HoldfastError } from '../errors.ts';
import { type Document, type DocumentText, decodeDocument } from '../model/document.ts';
import { documentKey } from '../store/idempotency.ts';
import { prepareDocument } from '../store/prepared-document.ts';
import type { BulkOptions, BulkResult, Filter, IdempotencyKey, WriteOptions, WriteResult } from '../store/store.ts';
import { Tally } from '../store/tally.ts';
import { full, type Journal, type JournalCall } from './journal.ts';
import { type Entered, JournalAnswers } from './journal-answers.ts';
import { changing, idsOf, keyOf, type Made, requireVersion, singleKey } from './journal-call.ts';
import { JournalChecks } from './journal-checks.ts';
import type { JournalDraft, JournalEntry } from './journal-entry.ts';
import { JournalView, type LiveDocuments, type Seen } from './journal-view.ts';
import type { Overlay } from './overlay.ts';
import { placeOf } from './waiting.ts';
import type { OfferedWrite, RefusedWrite, WriteFallback } from './write-fallback.ts';

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

/** How often a write is prepared anew because the copy got something newer meanwhile. */
const TRIES = 5;

/**
 * Takes writes into the journal while the database is away, of the entities that say so: checked as the database would, resolved to single
 * documents by a copy that has them all, answered when they are on disk. SPEC.md, section "The journal".
 */
export class JournalWrites implements WriteFallback {
  readonly #options: JournalWritesOptions;
  readonly #view: JournalView;
  readonly #answers: JournalAnswers;
  readonly #checks: JournalChecks;
  /** By collection, the end of the writes that are being entered: each must see those before it. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(options: JournalWritesOptions) {
    this.#options = options;
    this.#view = new JournalView(options);
    this.#answers = new JournalAnswers(options);
    this.#checks = new JournalChecks({ ...options, view: this.#view });
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
    if (keyOf(write)?.fresh === true || !this.#options.takes(write.collection)) return undefined;
    const known = this.#answers.known(write);
    // Nobody hears of what is not on disk.
    return known === undefined || known.durable !== undefined ? undefined : known.result;
  }

  holds({ collection, method, arguments: [first] }: OfferedWrite): boolean {
    const { waiting } = this.#options.journal;
    if (!waiting.has(collection)) return false;
    const ids = idsOf(method, first);
    return ids === undefined || ids.some((id) => waiting.of(placeOf(collection, id)).length > 0);
  }

  overlay(collection: string, principal: string | undefined): Overlay | undefined {
    return principal === undefined ? undefined : this.#options.journal.waiting.view(collection, principal);
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
    const known = this.#answers.known(write);
    if (known !== undefined) return known;
    switch (method) {
      case 'insertOne':
        return this.#insertOne(write, args[0] as Document, principal);
      case 'insertMany':
        return this.#insertMany(write, args[0] as readonly Document[], principal);
      case 'updateOne':
      case 'replaceOne':
      case 'deleteOne':
        return this.#changeOne(
          write,
          args[0] as Filter,
          changing(method, args[1], (write.options as WriteOptions).accept),
          principal,
        );
      case 'updateMany':
        return this.#changeMany(write, args[0] as Filter, changing('updateOne', args[1]), principal);
      case 'deleteMany':
        return this.#changeMany(write, args[0] as Filter, changing('deleteOne', undefined), principal);
    }
  }

  async #insertOne(write: RefusedWrite, document: Document, principal: string): Promise<Entered<WriteResult>> {
    const found = await this.#insertion(write.collection, document, singleKey(write), principal, new Set());
    if ('matchedCount' in found) return { result: found };
    return this.#append([found], ([entry]) => this.#answers.of(entry as JournalEntry, false));
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
      const answers = results.map((result) =>
        result === 'NEW' ? this.#answers.of(added.next().value as JournalEntry, false) : result,
      );
      return this.#answers.many(answers, tally);
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
    const known = this.#answers.single(key);
    if (known !== undefined) return known;
    const { document, id, text } = prepareDocument(given);
    this.#checks.requireText(document, text);
    const place = placeOf(collection, document._id);
    const committed = this.#answers.committed(key);
    if (committed !== undefined) return committed;
    await this.#checks.requireUnique(collection, place, document, inCall);
    // It may have come with the log just now.
    const late = this.#answers.committed(key);
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
      const committed = this.#answers.committed(key);
      if (committed !== undefined) return { result: committed };
      if (seen === undefined) {
        if (this.#view.isDeleted(collection, filter, principal)) return { result: this.#answers.nothing() };
        // The copy may not have it yet.
        throw write.error;
      }
      requireVersion(collection, seen, ifVersion, write);
      const made = make(decodeDocument(seen.base as DocumentText));
      await this.#checks.requireStorable(collection, seen, made, new Set());
      if (this.#view.isCurrent(collection, seen)) {
        const draft = this.#draft(collection, seen, made, key, principal, ifVersion !== undefined);
        return this.#append([draft], ([entry]) => this.#answers.of(entry as JournalEntry, false));
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
        await this.#checks.requireStorable(collection, seen, made, inCall);
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
      (entries) =>
        this.#answers.many(
          entries.map((entry) => this.#answers.of(entry, false)),
          tally,
        ),
      call,
    );
  }

  /** The documents that match, as the principal sees them. @throws the error of the write when that is not known */
  async #found(write: RefusedWrite, filter: Filter, principal: string, limit?: number): Promise<readonly Seen[]> {
    const found = await this.#view.find(write.collection, filter, principal, limit);
    if (found === undefined) throw write.error;
    return found;
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
}
