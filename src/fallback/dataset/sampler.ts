import { hash } from 'node:crypto';
import type { Document } from '../../model/document.ts';
import { encodeValue } from '../../model/document.ts';
import { type Entity, FieldKind } from '../../model/entity.ts';

/** Part of a share that is set apart for the values of enums, so that rare ones are in it. */
const STRATA_PART = 0.5;

/**
 * Chooses `share` of the documents it is shown: of each value of each enum some, the others evenly. Which ones depends on their ids
 * only, so that most of a sample is in the next one again. Memory follows the share, not the number of documents.
 */
export class Sampler {
  readonly #all: Lowest;
  readonly #strata = new Map<string, Lowest>();
  readonly #enums: readonly string[];
  readonly #share: number;
  readonly #quota: number;

  constructor(entity: Entity, share: number) {
    this.#enums = enumPathsOf(entity);
    this.#share = share;
    this.#all = new Lowest(share);
    this.#quota = Math.max(1, Math.floor((share * STRATA_PART) / Math.max(1, this.#enums.length * 8)));
  }

  /** What {@link add} looks at. */
  static projection(entity: Entity): Document {
    return Object.fromEntries(['_id', ...enumPathsOf(entity)].map((path) => [path, 1]));
  }

  add(document: Document): void {
    const { _id } = document;
    const text = encodeValue(_id);
    const entry = { rank: hash('sha256', text, 'hex').slice(0, 16), text, _id };
    this.#all.add(entry);
    for (const path of this.#enums) {
      for (const value of [document[path]].flat()) this.#stratum(`${path}\0${String(value)}`).add(entry);
    }
  }

  /** The ids chosen, in an order that does not depend on when they were shown. */
  ids(): unknown[] {
    const strata = [...this.#strata.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([, lowest]) => lowest.list());
    const chosen = new Map([...strata, ...this.#all.list()].map((entry) => [entry.text, entry]));
    return [...chosen.values()].slice(0, this.#share).map(({ _id }) => _id);
  }

  #stratum(name: string): Lowest {
    let stratum = this.#strata.get(name);
    if (stratum === undefined) {
      stratum = new Lowest(this.#quota);
      this.#strata.set(name, stratum);
    }
    return stratum;
  }
}

function enumPathsOf({ fields }: Entity): string[] {
  return fields.filter(({ kind }) => kind === FieldKind.ENUM).map(({ storedName }) => storedName);
}

interface Entry {
  readonly rank: string;
  readonly text: string;
  readonly _id: unknown;
}

/** The entries of lowest rank. */
class Lowest {
  readonly #count: number;
  #entries: Entry[] = [];
  /** Nothing at or above it can be among the lowest. */
  #limit: string | undefined;

  constructor(count: number) {
    this.#count = count;
  }

  add(entry: Entry): void {
    if (this.#limit !== undefined && entry.rank >= this.#limit) return;
    this.#entries.push(entry);
    if (this.#entries.length >= this.#count * 2 + 16) this.#cut();
  }

  list(): readonly Entry[] {
    this.#cut();
    return this.#entries;
  }

  #cut(): void {
    this.#entries = this.#entries.sort((a, b) => (a.rank < b.rank ? -1 : 1)).slice(0, this.#count);
    if (this.#entries.length === this.#count) this.#limit = this.#entries.at(-1)?.rank;
  }
}
