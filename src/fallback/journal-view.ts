import type { LogEntry } from '../model/change.ts';
import {
  type Document,
  type DocumentText,
  decodeDocument,
  decodeValue,
  encodeDocument,
  encodeValue,
} from '../model/document.ts';
import type { Position } from '../model/position.ts';
import { compileFilter } from '../store/filter.ts';
import { keyString } from '../store/key.ts';
import { compareValues } from '../store/order.ts';
import { valuesAt } from '../store/path.ts';
import type { Collection, Filter } from '../store/store.ts';
import type { Journal } from './journal.ts';
import { soleId } from './question.ts';
import { placeOf, type Waiting } from './waiting.ts';

/** What is known here of the documents in the database: the live copy. */
export interface LiveDocuments {
  /** The collection, when all of it is there. */
  whole(collection: string): Collection | undefined;
  /** Rows with their versions, those that are there. */
  rows(
    collection: string,
    ids: readonly DocumentText[],
  ): readonly { readonly id: DocumentText; readonly version: number; readonly text: DocumentText }[];
  /** The write that was made under an idempotency key, when the copy has it. */
  entryOfKey(key: string): LogEntry | undefined;
  /** The change up to which it goes. */
  position(): Position;
}

/** A document as a principal sees it, with what a write to it is made on. */
export interface Seen {
  readonly place: string;
  readonly _id: unknown;
  readonly id: DocumentText;
  /** Null: there is none. */
  readonly base: DocumentText | null;
  /** Null when it is the outcome of the entry `after`, or there is none. */
  readonly baseVersion: number | null;
  readonly after: number | null;
}

export interface JournalViewOptions {
  readonly journal: Journal;
  readonly live: LiveDocuments;
  readonly uniquePaths: (collection: string) => readonly string[];
}

/** Documents as those who write to the journal see them: the copy, and over it what they wrote themselves, durable or not. */
export class JournalView {
  readonly #options: JournalViewOptions;

  constructor(options: JournalViewOptions) {
    this.#options = options;
  }

  row(collection: string, id: DocumentText) {
    return this.#options.live.rows(collection, [id])[0];
  }

  /** The documents that match, in `_id` order, at most `limit`; undefined when the copy does not have all. */
  async find(
    collection: string,
    filter: Filter,
    principal: string,
    limit = Number.POSITIVE_INFINITY,
  ): Promise<readonly Seen[] | undefined> {
    const own = this.#own(collection, principal);
    const matches = compileFilter(filter);
    const found = [...own.values()].flatMap((entry) => {
      const { document } = entry;
      return document !== null && matches(document) ? [seenIn(entry, document)] : [];
    });
    const sole = soleId(filter);
    if (sole === undefined || !own.has(placeOf(collection, sole))) {
      const below = await this.#below(collection, filter, limit + own.size);
      if (below === undefined) return undefined;
      found.push(
        ...below.filter(({ place, base }) => !own.has(place) && matches(decodeDocument(base as DocumentText))),
      );
    }
    return found.sort((a, b) => compareValues(a._id, b._id)).slice(0, limit);
  }

  /** Whether the one document that a filter names was deleted by the principal, as an entry says that waits. */
  isDeleted(collection: string, filter: Filter, principal: string): boolean {
    const sole = soleId(filter);
    if (sole === undefined) return false;
    const waiting = this.#options.journal.waiting.of(placeOf(collection, sole));
    return waiting.findLast((entry) => entry.principal === principal)?.document === null;
  }

  /** Whether nothing came in between since a document was seen. */
  isCurrent(collection: string, { id, place, baseVersion, after }: Seen): boolean {
    if (after !== null) return this.#options.journal.waiting.of(place).some(({ seq }) => seq === after);
    return this.row(collection, id)?.version === baseVersion;
  }

  /** A unique path of which another document, here or in the journal, has the same value; undefined when none is known. */
  async takenPath(collection: string, place: string, document: Document): Promise<string | undefined> {
    const { journal, live, uniquePaths } = this.#options;
    const whole = live.whole(collection);
    for (const path of uniquePaths(collection)) {
      for (const value of claimed(document, path)) {
        if (journal.waiting.claimedElsewhere(claimOf(collection, path, value), place)) return path;
        const others = (await whole?.find({ [path]: value }, { limit: 2 }).toArray()) ?? [];
        const isTaken = others.some(({ _id }) => {
          const other = placeOf(collection, _id);
          // What waits for that document says what it will have.
          return other !== place && journal.waiting.of(other).length === 0;
        });
        if (isTaken) return path;
      }
    }
    return undefined;
  }

  /** By place, the last entry of each document that the principal wrote. */
  #own(collection: string, principal: string): ReadonlyMap<string, Waiting> {
    const { waiting } = this.#options.journal;
    const own = new Map<string, Waiting>();
    for (const place of waiting.places(collection)) {
      const last = waiting.of(place).findLast((entry) => entry.principal === principal);
      if (last !== undefined) own.set(place, last);
    }
    return own;
  }

  async #below(collection: string, filter: Filter, limit: number): Promise<readonly Seen[] | undefined> {
    const { live } = this.#options;
    const whole = live.whole(collection);
    if (whole === undefined) return undefined;
    const bounded = Number.isFinite(limit) ? { limit } : {};
    const found = await whole.find(filter, { ...bounded, projection: { _id: 1 } }).toArray();
    const rows = live.rows(
      collection,
      found.map(({ _id }) => encodeValue(_id)),
    );
    return rows.map(({ id, version, text }) => {
      const _id = decodeValue(id);
      return { place: placeOf(collection, _id), _id, id, base: text, baseVersion: version, after: null };
    });
  }
}

function seenIn(entry: Waiting, document: Document): Seen {
  const { place, seq: after } = entry;
  const { _id } = document;
  return { place, _id, id: encodeValue(_id), base: encodeDocument(document), baseVersion: null, after };
}

/** The values that a document has for itself. */
export function claimsOf(collection: string, document: Document, paths: readonly string[]): string[] {
  return paths.flatMap((path) => claimed(document, path).map((value) => claimOf(collection, path, value)));
}

function claimed(document: Document, path: string): unknown[] {
  return valuesAt(document, path).filter((value) => value !== null && value !== undefined);
}

function claimOf(collection: string, path: string, value: unknown): string {
  return `${collection}\0${path}\0${keyString(value)}`;
}
