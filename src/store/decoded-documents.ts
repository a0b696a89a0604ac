import { type Document, type DocumentText, decodeDocument } from '../model/document.ts';

/** Text of the documents that are kept decoded, in characters, twice: those used since, and those used before. */
const MAX_CHARACTERS = 2 * 1024 * 1024;
/** Longer ones are not kept. */
const MAX_LENGTH = 16 * 1024;
/** Rows that are remembered as read once; a power of two. */
const REMEMBERED = 8_192;
/** More than the rows of any collection. */
const ROWS = 2 ** 40;

/** A decoded document, and which of its fields are more than a plain value. */
interface Kept {
  readonly text: DocumentText;
  readonly document: Document;
  readonly objects: readonly string[];
}

/**
 * Decodes document texts, and keeps decoded what is read again and again. A kept document is given only for the very text it was
 * decoded from, and as a copy: nobody can tell it from decoding. For reads that hand on what they look at; one that
 * looks through a collection would only drive out what is worth keeping.
 */
export class DecodedDocuments {
  #recent = new Map<number, Kept>();
  #earlier: ReadonlyMap<number, Kept> = new Map();
  #characters = 0;
  readonly #readOnce = new Float64Array(REMEMBERED);

  /** The document of a row of a collection with this number. */
  decode(collection: number, row: number, text: DocumentText): Document {
    const key = collection * ROWS + row;
    const kept = this.#recent.get(key);
    if (kept?.text === text) return copyOf(kept);
    const earlier = this.#earlier.get(key);
    if (earlier?.text === text) {
      this.#keep(key, earlier);
      return copyOf(earlier);
    }
    const document = decodeDocument(text);
    if (this.#wasRead(key, collection, row) && isKeepable(text, document)) {
      const own = { text, document, objects: Object.keys(document).filter((name) => isObject(document[name])) };
      this.#keep(key, { ...own, document: copyOf(own) });
    }
    return document;
  }

  #wasRead(key: number, collection: number, row: number): boolean {
    const place = (row + collection * 7_919) % REMEMBERED;
    if (this.#readOnce[place] === key) return true;
    this.#readOnce[place] = key;
    return false;
  }

  #keep(key: number, kept: Kept): void {
    this.#recent.set(key, kept);
    this.#characters += kept.text.length;
    if (this.#characters < MAX_CHARACTERS) return;
    this.#earlier = this.#recent;
    this.#recent = new Map();
    this.#characters = 0;
  }
}

/** The documents kept by this process. */
export const decodedDocuments = new DecodedDocuments();

function copyOf({ document, objects }: Kept): Document {
  const copy = { ...document };
  for (const name of objects) copy[name] = copied(copy[name]);
  return copy;
}

function copied(value: unknown): unknown {
  if (!isObject(value)) return value;
  if (value instanceof Date) return new Date(value.getTime());
  if (Array.isArray(value)) return value.map(copied);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, copied(item)]));
}

function isKeepable(text: DocumentText, document: Document): boolean {
  return text.length <= MAX_LENGTH && !text.includes('"__proto__"') && Object.values(document).every(isCopyable);
}

/** Whether {@link copied} gives an equal value: plain values, dates, lists and objects of these; BSON's own types are not. */
function isCopyable(value: unknown): boolean {
  if (!isObject(value) || value instanceof Date) return true;
  if (Array.isArray(value)) return value.every(isCopyable);
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isCopyable);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
