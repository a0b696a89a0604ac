import { setImmediate } from 'node:timers/promises';
import { DocumentMasker } from '../../mask/mask-document.ts';
import { Originals } from '../../mask/originals.ts';
import type { MaskRules } from '../../mask/rules.ts';
import { type Document, encodeValue } from '../../model/document.ts';
import type { Entity, Model } from '../../model/entity.ts';
import type { Collection } from '../../store/store.ts';
import { keysAt, type Link, linksOf } from './links.ts';
import { Sampler } from './sampler.ts';
import { Spool } from './spool.ts';

/** Where documents are read from: any store, or a database that is only read. */
export interface DatasetSource {
  collection(name: string): Pick<Collection, 'find' | 'findGrouped' | 'countDocuments'>;
}

/** How much is taken. */
export interface Budget {
  /** Documents of all collections together. What chosen ones refer to comes on top of it, if need be. */
  readonly documents: number;
  /** Characters of document text of all collections together, in the same way. */
  readonly bytes: number;
}

export interface GatherOptions {
  readonly source: DatasetSource;
  readonly model: Model;
  readonly rules: MaskRules;
  readonly budget: Budget;
  /** Ids that must be in it, by entity: e.g. those read most. Unknown ones are passed over. */
  readonly wanted?: ReadonlyMap<string, readonly unknown[]> | undefined;
  /** Where documents are put aside; must exist and be new. */
  readonly scratch: string;
  readonly signal?: AbortSignal | undefined;
  /** Called now and then with the documents taken. */
  readonly onProgress?: ((documents: number) => void) | undefined;
}

/** The documents of one entity, put aside unmasked. */
export interface GatheredEntity {
  readonly entity: Entity;
  readonly spool: Spool;
  /** Whether every document that the collection had was taken or refused. */
  whole: boolean;
  documents: number;
  /** Left out: they break the schema. */
  refused: number;
}

/** What was gathered; disposing of it removes what was put aside. */
export interface Gathered extends Disposable {
  readonly entities: readonly GatheredEntity[];
  /** Every value that is to be masked. */
  readonly originals: Originals;
}

/** Keys asked for at once. */
const BATCH = 500;
/** Documents after which others get their turn. */
const TURN = 100;
/** Part of the budget that is chosen; the rest is for what they refer to, and their lists. */
const CHOSEN_PART = 0.6;
/** Documents taken for a list of a document. */
const LIST_LENGTH = 3;

/**
 * Reads a sample that is closed: every key of a document leads to a document that is in it too, unless the database has none. Everything
 * when it fits the budget; else a choice by {@link Sampler}, what it refers to, and the beginnings of its lists.
 * @throws the signal's reason; DATABASE_UNAVAILABLE
 */
export async function gather(options: GatherOptions): Promise<Gathered> {
  const gathering = new Gathering(options);
  try {
    await gathering.run();
    return gathering;
  } catch (error) {
    gathering[Symbol.dispose]();
    throw error;
  }
}

class Gathering implements Gathered {
  readonly entities: GatheredEntity[];
  readonly originals = new Originals();
  readonly #options: GatherOptions;
  readonly #masker: DocumentMasker;
  readonly #links: ReadonlyMap<string, readonly Link[]>;
  readonly #parts: ReadonlyMap<string, GatheredEntity>;
  /** By place, the texts of the keys that documents taken (or refused) have there. */
  readonly #held = new Map<string, Set<string>>();
  /** By place, the keys still to be asked for, and the texts of those that were. */
  readonly #wanted = new Map<string, Map<string, unknown>>();
  readonly #asked = new Map<string, Set<string>>();
  #documents = 0;
  #bytes = 0;
  #steps = 0;

  constructor(options: GatherOptions) {
    const { model, rules, scratch } = options;
    this.#options = options;
    this.#masker = new DocumentMasker(model, rules);
    this.#links = linksOf(model);
    this.entities = model.entities.map((entity, number) => ({
      ...{ entity, whole: false, documents: 0, refused: 0 },
      spool: new Spool(scratch, `${number}.spool`),
    }));
    this.#parts = new Map(this.entities.map((part) => [part.entity.name, part]));
    for (const { name } of model.entities) this.#held.set(placeOf(name, '_id'), new Set());
    for (const link of [...this.#links.values()].flat()) {
      if (link.single) this.#held.set(placeOf(link.target.name, link.targetPath), new Set());
    }
  }

  async run(): Promise<void> {
    await this.#choose();
    for (const part of this.entities) {
      for (const document of part.spool.read()) {
        this.#want(part, document);
        await this.#pace();
      }
    }
    await this.#close();
    await this.#fillLists();
  }

  [Symbol.dispose](): void {
    for (const { spool } of this.entities) spool[Symbol.dispose]();
  }

  /** Takes everything that fits, else a sample of each entity. */
  async #choose(): Promise<void> {
    const { source, budget, wanted } = this.#options;
    const counts = new Map<string, number>();
    for (const { entity } of this.entities) {
      counts.set(entity.name, await source.collection(entity.collection).countDocuments({}, this.#signal));
    }
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
    for (const part of this.entities) {
      const count = counts.get(part.entity.name) ?? 0;
      if (total <= budget.documents && (await this.#takeWhole(part))) continue;
      await this.#takeEach(part, '_id', wanted?.get(part.entity.name) ?? []);
      const share = Math.max(
        Math.min(count, 10),
        Math.floor((CHOSEN_PART * budget.documents * count) / Math.max(1, total)),
      );
      await this.#takeEach(part, '_id', await this.#sample(part, share));
    }
  }

  /** False when it did not fit. */
  async #takeWhole(part: GatheredEntity): Promise<boolean> {
    for await (const document of this.#find(part, {})) {
      if (this.#isFull()) return false;
      this.#take(part, document);
    }
    part.whole = true;
    return true;
  }

  async #sample({ entity }: GatheredEntity, share: number): Promise<unknown[]> {
    const sampler = new Sampler(entity, share);
    const projection = Sampler.projection(entity);
    const { source, signal } = this.#options;
    for await (const document of source.collection(entity.collection).find({}, { projection, signal })) {
      await this.#pace();
      sampler.add(document);
    }
    return sampler.ids();
  }

  async #takeEach(part: GatheredEntity, path: string, keys: readonly unknown[]): Promise<void> {
    for (let from = 0; from < keys.length && !this.#isFull(); from += BATCH) {
      const filter = { [path]: { $in: keys.slice(from, from + BATCH) } };
      for await (const document of this.#find(part, filter)) this.#take(part, document);
    }
  }

  /** Asks for what documents refer to until nothing is missing that the database has. */
  async #close(): Promise<void> {
    for (;;) {
      const [next] = [...this.#wanted].filter(([, keys]) => keys.size > 0);
      if (next === undefined) return;
      const [place, keys] = next;
      const [name = '', path = ''] = place.split('\0');
      const part = this.#parts.get(name)!;
      const batch = [...keys].slice(0, BATCH);
      for (const [text] of batch) {
        keys.delete(text);
        setOf(this.#asked, place).add(text);
      }
      for await (const document of this.#find(part, { [path]: { $in: batch.map(([, value]) => value) } })) {
        if (this.#take(part, document)) this.#want(part, document);
      }
    }
  }

  /** The beginnings of the lists of the documents taken, as long as there is room. */
  async #fillLists(): Promise<void> {
    const { source, signal } = this.#options;
    for (const part of this.entities) {
      for (const { ownerPath, target, targetPath } of this.#links
        .get(part.entity.name)!
        .filter(({ single }) => !single)) {
        const targetPart = this.#parts.get(target.name)!;
        if (targetPart.whole) continue;
        const keys = new Map<string, unknown>();
        for (const document of part.spool.read()) {
          for (const [text, value] of keysAt(document, ownerPath)) keys.set(text, value);
          await this.#pace();
        }
        const values = [...keys.values()];
        for (let from = 0; from < values.length && !this.#isFull(); from += BATCH) {
          const batch = values.slice(from, from + BATCH);
          const options = { limit: LIST_LENGTH, signal };
          const groups = await source.collection(target.collection).findGrouped(targetPath, batch, {}, options);
          for (const document of groups.flat()) {
            await this.#pace();
            if (this.#take(targetPart, document)) this.#want(targetPart, document);
          }
          await this.#close();
        }
      }
    }
  }

  /** Puts a document aside; false when it was there already or is left out. */
  #take(part: GatheredEntity, stored: Document): boolean {
    const { name } = part.entity;
    const ids = this.#held.get(placeOf(name, '_id'))!;
    const id = encodeValue(stored._id);
    if (ids.has(id)) return false;
    ids.add(id);
    const { document, missing } = this.#masker.mask(name, stored, (kind, value) => {
      this.originals.add(kind, value);
      return value;
    });
    if (missing.length > 0) {
      part.refused += 1;
      return false;
    }
    for (const [place, keys] of this.#held) {
      const [owner, path = ''] = place.split('\0');
      if (owner === name && path !== '_id') for (const [text] of keysAt(document, path)) keys.add(text);
    }
    this.#bytes += part.spool.add(document);
    this.#documents += 1;
    part.documents += 1;
    return true;
  }

  /** Notes what a document refers to and is not there. */
  #want({ entity }: GatheredEntity, document: Document): void {
    for (const { single, forward, ownerPath, target, targetPath } of this.#links.get(entity.name)!) {
      // Of a collection that was read as a whole, nothing more can turn up that nobody refers to.
      if (!single || (!forward && this.#parts.get(target.name)!.whole)) continue;
      const place = placeOf(target.name, targetPath);
      for (const [text, value] of keysAt(document, ownerPath)) {
        if (this.#held.get(place)!.has(text) || setOf(this.#asked, place).has(text)) continue;
        const wanted = this.#wanted.get(place) ?? new Map<string, unknown>();
        this.#wanted.set(place, wanted.set(text, value));
      }
    }
  }

  async *#find({ entity }: GatheredEntity, filter: Document): AsyncGenerator<Document, void> {
    const { source, signal } = this.#options;
    for await (const document of source.collection(entity.collection).find(filter, { signal })) {
      await this.#pace();
      yield document;
    }
  }

  #isFull(): boolean {
    const { documents, bytes } = this.#options.budget;
    return this.#documents >= documents || this.#bytes >= bytes;
  }

  get #signal(): { readonly signal?: AbortSignal | undefined } {
    return { signal: this.#options.signal };
  }

  /** Lets others have their turn: a gateway may be serving in this process. */
  async #pace(): Promise<void> {
    this.#steps += 1;
    if (this.#steps % TURN !== 0) return;
    await setImmediate();
    this.#options.signal?.throwIfAborted();
    this.#options.onProgress?.(this.#documents);
  }
}

function placeOf(entity: string, path: string): string {
  return `${entity}\0${path}`;
}

function setOf(sets: Map<string, Set<string>>, name: string): Set<string> {
  let set = sets.get(name);
  if (set === undefined) {
    set = new Set();
    sets.set(name, set);
  }
  return set;
}
