import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { HoldfastError } from '../../errors.ts';
import { LONGEST, SHORTEST_INSIDE } from '../../mask/leak-index.ts';
import { DocumentMasker } from '../../mask/mask-document.ts';
import { type Originals, textOf } from '../../mask/originals.ts';
import { type EntityRules, type FieldRule, Kept, type MaskRules } from '../../mask/rules.ts';
import { type Document, encodeValue } from '../../model/document.ts';
import { FieldKind, type Model } from '../../model/entity.ts';
import { readDocuments } from '../../model/import-reader.ts';
import type { EmittedCollection } from './emit.ts';
import type { Gathered } from './gather.ts';
import { keysAt, linksOf } from './links.ts';

export interface ProveOptions {
  readonly model: Model;
  readonly rules: MaskRules;
  readonly gathered: Gathered;
  /** The files to be read, by collection. */
  readonly collections: Readonly<Record<string, EmittedCollection>>;
  readonly directory: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((documents: number) => void) | undefined;
}

/** A place where an original was found. */
interface Leak {
  readonly path: string;
  readonly part: string;
}

/** Leaks looked into; more say nothing new. */
const MAX_LEAKS = 20;
const TURN = 100;

/**
 * Reads the files of a dataset again, as they lie on disk, and proves that they hold what they should: each document fits the schema,
 * no masked field has an original of its kind, no text that is kept (but what the schema exempts) holds an original, and each key
 * leads to a document of the dataset unless the database has none. Returns the keys that lead nowhere, by collection.
 * @throws DATASET_LEAK (`fields`) when an original survives; VALIDATION_FAILED when a document breaks the schema; the signal's reason
 */
export async function prove(options: ProveOptions): Promise<Record<string, number>> {
  const { model, gathered } = options;
  const scan = new Scan(options.rules, gathered.originals);
  const masker = new DocumentMasker(model, options.rules);
  const held = new Map<string, Set<string>>();
  const places = [...linksOf(model).values()].flat().filter(({ forward }) => forward);
  for (const { target, targetPath } of places) held.set(`${target.name}\0${targetPath}`, new Set());
  for await (const { entity, document } of documentsOf(options)) {
    scan.check(entity, document);
    const { missing, unfit } = masker.mask(entity, document, (_kind, value) => value);
    if (missing.length + unfit.length > 0) throw broken(entity, document, [...missing, ...unfit]);
    for (const [place, keys] of held) {
      const [name, path = ''] = place.split('\0');
      if (name === entity) for (const [text] of keysAt(document, path)) keys.add(text);
    }
  }
  const leaks = confirmed(scan.leaks, options);
  if (leaks.length > 0) throw leaked(leaks);
  const dangling: Record<string, number> = {};
  for await (const { entity, collection, document } of documentsOf(options)) {
    for (const { owner, ownerPath, target, targetPath } of places) {
      if (owner.name !== entity) continue;
      const missing = keysAt(document, ownerPath).filter(
        ([text]) => !held.get(`${target.name}\0${targetPath}`)!.has(text),
      );
      dangling[collection] = (dangling[collection] ?? 0) + missing.length;
    }
  }
  return dangling;
}

async function* documentsOf({ collections, directory, signal, onProgress }: ProveOptions) {
  let documents = 0;
  for (const [collection, { entity, file }] of Object.entries(collections)) {
    for await (const { document, error, line } of readDocuments(join(directory, file))) {
      if (document === undefined) throw new HoldfastError('VALIDATION_FAILED', `${file}:${line}: ${error}`);
      yield { entity, collection, document };
      documents += 1;
      if (documents % TURN !== 0) continue;
      await setImmediate();
      signal?.throwIfAborted();
      onProgress?.(documents);
    }
  }
}

/** Looks for originals in documents, field by field. */
class Scan {
  readonly leaks: Leak[] = [];
  readonly #rules: MaskRules;
  readonly #originals: Originals;

  constructor(rules: MaskRules, originals: Originals) {
    this.#rules = rules;
    this.#originals = originals;
  }

  check(entity: string, document: Document): void {
    const { fields } = this.#rules.entities.get(entity) as EntityRules;
    this.#object(fields, document, `${entity}.`);
  }

  #object(rules: readonly FieldRule[], document: Document, prefix: string): void {
    for (const rule of rules) {
      const value = document[rule.field.storedName];
      const path = `${prefix}${rule.field.storedName}`;
      for (const each of Array.isArray(value) ? value : [value])
        if (each !== null && each !== undefined) this.#value(rule, each, path);
    }
  }

  #value({ field, action }: FieldRule, value: unknown, path: string): void {
    if (action.action === 'INSIDE')
      this.#object(this.#rules.objects.get(field.type) ?? [], value as Document, `${path}.`);
    else if (action.action === 'FAKE') {
      if (this.#originals.survivesIn(action.kind, value)) this.#note(path, textOf(value));
    } else if (
      action.action === 'KEEP' &&
      action.why === Kept.KEY &&
      field.kind === FieldKind.SCALAR &&
      typeof value === 'string'
    ) {
      const found = this.#originals.texts.find(value, ({ part, whole }) => whole || isDistinctive(part));
      if (found !== undefined) this.#note(path, found.part);
    }
  }

  #note(path: string, part: string): void {
    if (this.leaks.length < MAX_LEAKS) this.leaks.push({ path, part });
  }
}

/**
 * Whether a value inside another is more than chance: four hexadecimal digits are in every other id. A whole id that equals an
 * original always counts.
 */
function isDistinctive(part: string): boolean {
  return part.length >= 8 || /[g-z\u0080-\uffff]/.test(part);
}

/** The leaks that are none by a chance equality of fingerprints: what was put aside is read once more and compared letter by letter. */
function confirmed(leaks: readonly Leak[], { gathered, model, rules }: ProveOptions): Leak[] {
  if (leaks.length === 0) return [];
  const masker = new DocumentMasker(model, rules);
  const sure = new Set<Leak>();
  for (const { entity, spool } of gathered.entities) {
    for (const document of spool.read()) {
      masker.mask(entity.name, document, (_kind, value) => {
        const text = textOf(value).toLowerCase();
        for (const leak of leaks) if (isIn(leak.part.toLowerCase(), text)) sure.add(leak);
        return value;
      });
    }
  }
  return [...sure];
}

function isIn(part: string, original: string): boolean {
  return original.length < SHORTEST_INSIDE ? part === original : part.includes(original.slice(0, LONGEST));
}

function leaked(leaks: readonly Leak[]): HoldfastError {
  const fields = [...new Set(leaks.map(({ path }) => path))];
  const message = `values of masked fields survive in ${fields.join(', ')}: mask these fields too with @sanitize, or exempt them with NONE`;
  return new HoldfastError('DATASET_LEAK', message, { details: { fields } });
}

function broken(entity: string, document: Document, paths: readonly string[]): HoldfastError {
  const message = `${entity} ${encodeValue(document._id)} does not fit the schema at ${paths.join(', ')}`;
  return new HoldfastError('VALIDATION_FAILED', message);
}
