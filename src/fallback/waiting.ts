import { type Document, type DocumentText, decodeDocument, decodeValue } from '../model/document.ts';
import { keyString } from '../store/key.ts';
import { type JournalDraft, sizeOf } from './journal-entry.ts';

/** A waiting entry, as far as it is kept in memory. */
export class Waiting {
  readonly seq: number;
  readonly collection: string;
  readonly place: string;
  readonly principal: string;
  readonly key: string;
  /** What it counts for. */
  readonly bytes: number;
  /** Unique values that its image has. */
  readonly claims: readonly string[];
  /** Whether its document was not in the database when it was created here. */
  readonly isNew: boolean;
  /** Whether it is durable; before, nobody but the journal sees it. */
  isDurable = false;
  readonly #id: DocumentText;
  readonly #image: DocumentText | null;
  #document: Document | null | undefined;

  /** `before`: the entry that it was made on, when that waits too. */
  constructor(seq: number, draft: JournalDraft, claims: readonly string[], before: Waiting | undefined) {
    this.seq = seq;
    this.collection = draft.collection;
    this.key = draft.key;
    this.bytes = sizeOf(draft);
    this.isNew = before?.isNew ?? draft.base === null;
    this.#id = draft.id;
    this.place = placeOf(draft.collection, this.id);
    this.principal = draft.principal;
    this.claims = claims;
    this.#image = draft.image;
  }

  /** The `_id`. */
  get id(): unknown {
    return decodeValue(this.#id);
  }

  /** What the write made of its document; null for a deletion. Not to be changed. */
  get document(): Document | null {
    this.#document ??= this.#image === null ? null : decodeDocument(this.#image);
    return this.#document;
  }
}

/** Names a document: equal for equal ids of a collection. */
export function placeOf(collection: string, id: unknown): string {
  return `${collection}\0${keyString(id)}`;
}

function viewOf({ collection, principal }: Pick<Waiting, 'collection' | 'principal'>): string {
  return `${collection}\0${principal}`;
}

/** The waiting entries of a journal by document, each document's in their order. */
export class WaitingEntries {
  readonly #places = new Map<string, Waiting[]>();
  /** By collection, documents with waiting entries. */
  readonly #collections = new Map<string, Set<string>>();
  readonly #keys = new Map<string, Waiting>();
  readonly #seqs = new Map<number, Waiting>();
  /** By collection and principal, for each document the last durable entry. */
  readonly #views = new Map<string, Map<string, Waiting>>();
  /** By claim, how many waiting entries of which document have it. */
  readonly #claims = new Map<string, Map<string, number>>();

  get size(): number {
    return this.#keys.size;
  }

  add(entry: Waiting): void {
    const { place, collection, key, claims } = entry;
    const queue = this.#places.get(place);
    if (queue === undefined) this.#places.set(place, [entry]);
    else queue.push(entry);
    const places = this.#collections.get(collection);
    if (places === undefined) this.#collections.set(collection, new Set([place]));
    else places.add(place);
    this.#keys.set(key, entry);
    this.#seqs.set(entry.seq, entry);
    for (const claim of claims) {
      const holders = this.#claims.get(claim) ?? new Map<string, number>();
      this.#claims.set(claim, holders.set(place, (holders.get(place) ?? 0) + 1));
    }
  }

  /** An entry is on disk: from now on its principal sees it. */
  durable(entry: Waiting): void {
    entry.isDurable = true;
    const name = viewOf(entry);
    const view = this.#views.get(name);
    if (view === undefined) this.#views.set(name, new Map([[entry.place, entry]]));
    else view.set(entry.place, entry);
  }

  /** By place, the documents of a collection as a principal left them, durably; undefined when there are none. */
  view(collection: string, principal: string): ReadonlyMap<string, Waiting> | undefined {
    return this.#views.get(viewOf({ collection, principal }));
  }

  remove(entry: Waiting): void {
    const { place, collection, key, claims } = entry;
    const queue = this.#places.get(place) ?? [];
    const rest = queue[0] === entry ? queue.slice(1) : queue.filter((other) => other !== entry);
    this.#keys.delete(key);
    this.#seqs.delete(entry.seq);
    this.#unview(entry, rest);
    for (const claim of claims) {
      const holders = this.#claims.get(claim);
      const left = (holders?.get(place) ?? 1) - 1;
      if (left > 0) holders?.set(place, left);
      else holders?.delete(place);
      if (holders?.size === 0) this.#claims.delete(claim);
    }
    if (rest.length > 0) {
      this.#places.set(place, rest);
      return;
    }
    this.#places.delete(place);
    const places = this.#collections.get(collection);
    places?.delete(place);
    if (places?.size === 0) this.#collections.delete(collection);
  }

  /** `rest`: the entries of the document without this one. */
  #unview(entry: Waiting, rest: readonly Waiting[]): void {
    const name = viewOf(entry);
    const view = this.#views.get(name);
    if (view?.get(entry.place) !== entry) return;
    const last = rest.findLast((each) => each.isDurable && each.principal === entry.principal);
    if (last !== undefined) view.set(entry.place, last);
    else view.delete(entry.place);
    if (view.size === 0) this.#views.delete(name);
  }

  /** The entries of one document, the oldest first. */
  of(place: string): readonly Waiting[] {
    return this.#places.get(place) ?? [];
  }

  ofSeq(seq: number): Waiting | undefined {
    return this.#seqs.get(seq);
  }

  ofKey(key: string): Waiting | undefined {
    return this.#keys.get(key);
  }

  /** Whether any document of a collection has entries. */
  has(collection: string): boolean {
    return this.#collections.has(collection);
  }

  /** Documents of a collection that have entries. */
  places(collection: string): Iterable<string> {
    return this.#collections.get(collection) ?? [];
  }

  /** For each document its oldest entry, those that began to wait first coming first. */
  *heads(): Iterable<Waiting> {
    for (const [head] of this.#places.values()) if (head !== undefined) yield head;
  }

  /** Whether a document other than `place` has a waiting entry with this unique value. */
  claimedElsewhere(claim: string, place: string): boolean {
    const holders = this.#claims.get(claim);
    return holders !== undefined && (holders.size > 1 || !holders.has(place));
  }
}
