import { HoldfastError } from '../errors.ts';
import type { Document } from '../model/document.ts';

/** A document found, with its row. */
export interface Match {
  readonly row: number;
  readonly document: Document;
}

/** Takes the matches of a query as they are found, and gives those that were asked for, in order. */
export interface Collector {
  /** Takes a match of so many characters of text; true when no further one can change the result. */
  take(match: Match, characters: number): boolean;
  /** The result; called once, at the end. */
  finish(): Match[];
}

/** Text of the documents held while they are sorted, in characters. */
const MAX_SORT_CHARACTERS = 100 * 1024 * 1024;
/** The kept documents are cut down to those wanted each time there are so many more. */
const SPARE = 1_000;

type Comparison = (a: Document, b: Document) => number;

/** Matches that come in order. */
export class InOrder implements Collector {
  readonly #limit: number;
  readonly #matches: Match[] = [];
  #skip: number;

  constructor(skip: number, limit: number) {
    this.#skip = skip;
    this.#limit = limit;
  }

  take(match: Match): boolean {
    if (this.#skip > 0) this.#skip -= 1;
    else if (this.#matches.length < this.#limit) this.#matches.push(match);
    return this.#matches.length >= this.#limit;
  }

  finish(): Match[] {
    return this.#matches;
  }
}

/** Matches that come in any order. Holds those wanted and a few more. */
export class Sorted implements Collector {
  readonly #compare: Comparison;
  readonly #skip: number;
  readonly #wanted: number;
  #held: { readonly match: Match; readonly characters: number }[] = [];
  #characters = 0;

  constructor(compare: Comparison, skip: number, limit: number) {
    this.#compare = compare;
    this.#skip = skip;
    this.#wanted = skip + limit;
  }

  take(match: Match, characters: number): boolean {
    this.#held.push({ match, characters });
    this.#characters += characters;
    if (this.#held.length >= this.#wanted + SPARE) this.#cut();
    if (this.#characters > MAX_SORT_CHARACTERS) {
      this.#cut();
      if (this.#characters > MAX_SORT_CHARACTERS) throw tooMuch();
    }
    return false;
  }

  finish(): Match[] {
    this.#cut();
    return this.#held.slice(this.#skip).map(({ match }) => match);
  }

  #cut(): void {
    this.#held.sort((a, b) => this.#compare(a.match.document, b.match.document));
    for (const { characters } of this.#held.splice(this.#wanted)) this.#characters -= characters;
  }
}

/** Matches that come in the order of the first fields of a sort: those that are equal in them are ordered by the rest. */
export class PartlyInOrder implements Collector {
  readonly #compareFirst: Comparison;
  readonly #compareRest: Comparison;
  readonly #result: InOrder;
  readonly #wanted: number;
  #taken = 0;
  #first: Document | undefined;
  #group: Sorted;

  constructor(compareFirst: Comparison, compareRest: Comparison, skip: number, limit: number) {
    this.#compareFirst = compareFirst;
    this.#compareRest = compareRest;
    this.#result = new InOrder(skip, limit);
    this.#wanted = skip + limit;
    this.#group = new Sorted(compareRest, 0, this.#wanted);
  }

  take(match: Match, characters: number): boolean {
    if (this.#first !== undefined && this.#compareFirst(this.#first, match.document) !== 0) {
      this.#endGroup();
      if (this.#taken >= this.#wanted) return true;
    }
    this.#first ??= match.document;
    this.#group.take(match, characters);
    return false;
  }

  finish(): Match[] {
    this.#endGroup();
    return this.#result.finish();
  }

  #endGroup(): void {
    for (const match of this.#group.finish()) {
      if (this.#taken >= this.#wanted) break;
      this.#taken += 1;
      this.#result.take(match);
    }
    this.#first = undefined;
    this.#group = new Sorted(this.#compareRest, 0, this.#wanted - this.#taken);
  }
}

function tooMuch(): HoldfastError {
  return new HoldfastError(
    'VALIDATION_FAILED',
    'the query sorts more than 100 MB of documents; add an index on the fields it sorts by, or narrow or limit it',
  );
}
