import { builtInTypeNames } from './built-in.ts';
import type { Document } from './document.ts';
import { ObjectSummary, SeenKind, StringForm, type ValueSummary } from './infer-summary.ts';
import {
  entityNames,
  fieldNameOf,
  generatedTypeNames,
  leafTypeNames,
  nestedTypeNames,
  operationNames,
  SHARED_TYPE_NAMES,
  typeNameOf,
} from './naming.ts';
import { SCALARS } from './scalars.ts';

/** Options of {@link Inference}. */
export interface InferenceOptions {
  /**
   * Collection in which the documents are and stay. Then text that looks like a date stays a String, since it is not stored
   * as a date; documents of a file become dates when they are imported.
   */
  readonly collection?: string | undefined;
  /**
   * Stored names of fields that have an index there, and whether it is unique. Given, the SDL says just these: a few documents
   * prove nothing about the others, and an index on data that is there is its owner's decision.
   */
  readonly indexes?: ReadonlyMap<string, { readonly unique: boolean }> | undefined;
}

/** Non-null values that must differ before a field is taken for unique. */
const ENOUGH_VALUES = 20;

/** Gathers what an SDL should say about the documents of one file or collection. Memory is bounded whatever their number. */
export class Inference {
  readonly #name: string;
  readonly #options: InferenceOptions;
  readonly #documents = new ObjectSummary();

  /** `name`: of the file or collection, from which the entity gets its name. */
  constructor(name: string, options: InferenceOptions = {}) {
    this.#name = name;
    this.#options = options;
  }

  /** How many documents were added. */
  get count(): number {
    return this.#documents.count;
  }

  add(document: Document): void {
    this.#documents.add(document, 0, (key, isFirst) => {
      if (this.#options.indexes !== undefined) return false;
      // A key of others is seldom the first: `TrackId` before `AlbumId`.
      return key === 'id' || looksUnique(key, typeNameOf(this.#name)) || (isFirst && looksLikeId(key));
    });
  }

  /** The entity and its nested types; names found in `taken` are not given, and those given are added. */
  sdl(taken: Set<string> = new Set()): string {
    return new SdlWriter(this.#options, taken).write(this.#name, this.#documents);
  }
}

/** The SDL of several files or collections: each entity is followed by its nested types, and all names differ. */
export function inferredSdl(inferences: readonly Inference[]): string {
  const taken = new Set<string>();
  return inferences.map((inference) => inference.sdl(taken)).join('\n');
}

/** The name of a file without directories and endings: `data/album-items.jsonl.gz` → `album-items`. */
export function baseNameOf(path: string): string {
  const name = path.split(/[\\/]/).at(-1) ?? path;
  return name.replace(/(?!^)(?:\.(?:json|jsonl|ndjson|bson|txt|gz|zst|graphql))+$/i, '');
}

/** How a field is declared. */
interface FieldType {
  /** Name of the scalar or nested type, with the marks of a list. */
  readonly text: string;
  /** The scalar when it is a single one. */
  readonly scalar?: string;
}

class SdlWriter {
  readonly #keepsStrings: boolean;
  readonly #collection: string | undefined;
  readonly #indexes: InferenceOptions['indexes'];
  /** Names of types and, with their root type, of operations. */
  readonly #taken: Set<string>;
  /** Nested types that wait to be written. */
  readonly #nested: { readonly name: string; readonly object: ObjectSummary }[] = [];

  constructor({ collection, indexes }: InferenceOptions, taken: Set<string>) {
    this.#indexes = indexes;
    this.#keepsStrings = collection !== undefined;
    this.#collection = collection;
    this.#taken = taken;
    for (const name of [...builtInTypeNames(), 'Query', 'Mutation', 'Subscription', ...SHARED_TYPE_NAMES])
      taken.add(name);
    for (const name of SCALARS.keys()) for (const filter of leafTypeNames(name)) taken.add(filter);
  }

  write(source: string, documents: ObjectSummary): string {
    const name = this.#claim(typeNameOf(source), 'Entity', entityClaims);
    const { plural } = entityNames(name);
    const stored =
      this.#collection === undefined || this.#collection === plural ? '' : `(collection: ${quoted(this.#collection)})`;
    const types = [`type ${name} @entity${stored} {\n${this.#entityFields(name, documents).join('\n')}\n}\n`];
    for (let next = this.#nested.shift(); next !== undefined; next = this.#nested.shift()) {
      const { name: owner, object } = next;
      const keys = [...object.fields.keys()];
      const names = fieldNames(keys);
      const fields = keys.map((key) => this.#field(object, key, names, owner, false));
      types.push(`type ${owner} {\n${fields.join('\n')}\n}\n`);
    }
    return types.join('\n');
  }

  #entityFields(entity: string, documents: ObjectSummary): string[] {
    const idKey = idKeyOf(documents);
    const id = idKey === undefined ? undefined : documents.fields.get(idKey);
    const type = id === undefined ? 'ID' : this.#idType(id, documents.count);
    const keys = [...documents.fields.keys()].filter((key) => key !== idKey);
    const names = fieldNames(keys, ['id']);
    const fields = keys.map((key) => this.#field(documents, key, names, entity, true));
    // An entity of nothing but an id could never be updated.
    return [`  id: ${type}! @id`, ...(fields.length > 0 ? fields : ['  data: JSON'])];
  }

  #field(
    object: ObjectSummary,
    key: string,
    names: ReadonlyMap<string, string>,
    owner: string,
    isEntity: boolean,
  ): string {
    const value = object.fields.get(key)!;
    const name = names.get(key) ?? key;
    const { text, scalar } = this.#typeOf(value, key, owner);
    const required = value.present === object.count && value.nulls === 0 ? '!' : '';
    const directives = [
      ...(name === key ? [] : [`@field(name: ${quoted(key)})`]),
      ...(isEntity && scalar !== undefined ? this.#indexOf(value, key, scalar) : []),
    ];
    return [`  ${name}: ${text}${required}`, ...directives].join(' ');
  }

  #indexOf(value: ValueSummary, key: string, scalar: string): string[] {
    if (this.#indexes === undefined) return indexOf(value, key, scalar);
    const index = this.#indexes.get(key);
    if (index === undefined || SCALARS.get(scalar)?.key !== true) return [];
    return [index.unique ? '@unique' : '@index'];
  }

  #typeOf(value: ValueSummary, key: string, owner: string): FieldType {
    const { kinds, items } = value;
    if (kinds === SeenKind.ARRAY && items !== undefined) {
      const item = this.#innerType(items, key, owner);
      return { text: `[${item}${items.nulls === 0 ? '!' : ''}]` };
    }
    if (kinds === SeenKind.ARRAY) return { text: '[JSON!]' };
    const type = this.#innerType(value, key, owner);
    return { text: type, ...(SCALARS.has(type) && { scalar: type }) };
  }

  #innerType(value: ValueSummary, key: string, owner: string): string {
    const { kinds, object } = value;
    if (kinds !== SeenKind.OBJECT || object === undefined) return this.#scalarOf(value, key);
    if (object.isMap || object.fields.size === 0) return 'JSONObject';
    const name = this.#claim(`${owner}${typeNameOf(key)}`, 'Value', (type) => [type, ...nestedTypeNames(type)]);
    this.#nested.push({ name, object });
    return name;
  }

  #scalarOf({ kinds, forms }: ValueSummary, key: string): string {
    const { STRING, INT, SAFE, LONG, DOUBLE, DECIMAL, BOOLEAN, DATE, OBJECT_ID, BINARY } = SeenKind;
    const only = (allowed: number) => (kinds & ~allowed) === 0;
    if (kinds === 0) return 'JSON';
    if (only(STRING)) return this.#textOf(forms, key);
    if (only(INT)) return 'Int';
    if (only(INT | SAFE)) return 'SafeInt';
    if (only(INT | SAFE | LONG)) return 'BigInt';
    if (only(INT | SAFE | DOUBLE)) return 'Float';
    if (only(INT | SAFE | LONG | DECIMAL)) return 'Decimal';
    if (only(BOOLEAN)) return 'Boolean';
    if (only(DATE)) return 'DateTime';
    if (only(DATE | STRING) && (forms & StringForm.DATE_TIME) !== 0 && !this.#keepsStrings) return 'DateTime';
    if (only(OBJECT_ID)) return 'ObjectID';
    if (only(BINARY)) return 'Byte';
    return 'JSON';
  }

  #textOf(forms: number, key: string): string {
    if (looksLikeId(key)) return 'ID';
    if ((forms & StringForm.DATE_TIME) !== 0 && !this.#keepsStrings) return 'DateTime';
    if ((forms & StringForm.DATE) !== 0 && !this.#keepsStrings) return 'Date';
    if ((forms & StringForm.UUID) !== 0) return 'UUID';
    if ((forms & StringForm.EMAIL) !== 0) return 'EmailAddress';
    return (forms & StringForm.URL) === 0 ? 'String' : 'URL';
  }

  /** The scalar of an identifier. Where some documents have none, one that can be made for them. */
  #idType(value: ValueSummary, count: number): string {
    const scalar = this.#scalarOf(value, 'id');
    const isComplete = value.present === count && value.nulls === 0;
    return scalar === 'ObjectID' || (isComplete && SCALARS.get(scalar)?.key === true) ? scalar : 'ID';
  }

  /** Takes `wanted`, or the first name made from it for which all names it brings along are free. */
  #claim(wanted: string, suffix: string, namesOf: (type: string) => readonly string[]): string {
    for (let number = 0; ; number++) {
      const name = number === 0 ? wanted : `${wanted}${suffix}${number === 1 ? '' : number}`;
      const names = namesOf(name);
      if (names.some((each) => this.#taken.has(each))) continue;
      for (const each of names) this.#taken.add(each);
      return name;
    }
  }
}

/** GraphQL names for the keys of one type: a key that is a good name keeps it; `reserved` are given to no key. */
function fieldNames(keys: readonly string[], reserved: readonly string[] = []): Map<string, string> {
  const taken = new Set([...reserved, 'and', 'or', 'not']);
  const names = new Map<string, string>();
  const give = (key: string, name: string): void => {
    names.set(key, name);
    taken.add(name);
  };
  for (const key of keys) if (isName(key) && !taken.has(key)) give(key, key);
  for (const key of keys) {
    if (names.has(key)) continue;
    const plain = fieldNameOf(key) || 'value';
    const stem = taken.has(plain) ? `${plain}Value` : plain;
    let name = stem;
    for (let number = 2; taken.has(name); number++) name = `${stem}${number}`;
    give(key, name);
  }
  return names;
}

/** What tells documents apart is unique; keys of other documents are looked up often. */
function indexOf({ distinct }: ValueSummary, key: string, scalar: string): string[] {
  if (SCALARS.get(scalar)?.key !== true) return [];
  if (distinct?.isProven && distinct.count >= ENOUGH_VALUES) return ['@unique'];
  return looksLikeId(key) ? ['@index'] : [];
}

/** `_id` when any document has one; else `id` when every document has another one. */
function idKeyOf({ fields, count }: ObjectSummary): string | undefined {
  if (fields.has('_id')) return '_id';
  const id = fields.get('id');
  if (id === undefined || id.present !== count || id.nulls > 0 || id.distinct?.repeated !== false) return undefined;
  const { STRING, INT, SAFE, LONG, OBJECT_ID } = SeenKind;
  const isKey = [STRING, INT | SAFE | LONG, OBJECT_ID].some((allowed) => (id.kinds & ~allowed) === 0);
  return isKey ? 'id' : undefined;
}

/** Whether a key is named like what tells the documents of `entity` apart. */
function looksUnique(key: string, entity: string): boolean {
  const word = key.toLowerCase().replace(/[^a-z0-9]/g, '');
  const own = entity.toLowerCase();
  return UNIQUE_WORDS.has(word) || ['id', 'no', 'number', 'code', 'key'].some((ending) => word === own + ending);
}

const UNIQUE_WORDS: ReadonlySet<string> = new Set([
  'email',
  'emailaddress',
  'username',
  'login',
  'slug',
  'sku',
  'isbn',
  'isbn10',
  'isbn13',
  'ean',
  'iban',
  'barcode',
  'uuid',
  'guid',
]);

function looksLikeId(key: string): boolean {
  return /^_?id$|[a-z0-9](?:Id|ID|_id)$/.test(key);
}

function isName(key: string): boolean {
  return /^(?!__)[_A-Za-z][_0-9A-Za-z]*$/.test(key);
}

/** A string of GraphQL, which takes JSON's escapes. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

/** Everything an entity's name brings along. */
function entityClaims(type: string): string[] {
  const names = entityNames(type);
  const operations = Object.values(operationNames(names, [])).flat();
  return [type, ...generatedTypeNames(names), ...operations.map((name) => `operation ${name}`)];
}
