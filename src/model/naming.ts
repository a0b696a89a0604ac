import pluralize from 'pluralize';
import type { EntityNames } from './entity.ts';

/**
 * The public names of an entity. The one inflector of Holdfast: every generated name comes from here. A word whose plural is
 * the same gets `List` for its plural (`sheepList`), so that one document and many never share a name.
 */
export function entityNames(type: string, plural?: string): EntityNames {
  const regular = pluralize(type);
  const pluralType = plural === undefined ? (regular === type ? `${type}List` : regular) : upperFirst(plural);
  return { type, pluralType, single: lowerFirst(type), plural: lowerFirst(pluralType) };
}

/** `"album_items"`, `"Album items"` → `"AlbumItem"`: the type's name for a file, a collection or a table. */
export function typeNameOf(text: string): string {
  const words = wordsOf(text);
  const last = words.pop() ?? 'Document';
  // English has no singular of it that anybody would look for.
  const singular = /^data$/i.test(last) ? last : pluralize.singular(last);
  const name = [...words, singular].map(upperFirst).join('');
  return /^[A-Za-z]/.test(name) ? name : `Type${name}`;
}

/** `"First name"`, `"first-name"` → `"firstName"`: the field's name for a key of a document. `""` when nothing is left. */
export function fieldNameOf(key: string): string {
  if (/^[a-zA-Z][_0-9A-Za-z]*$/.test(key)) return lowerFirst(key);
  const name = lowerFirst(wordsOf(key).map(upperFirst).join(''));
  return /^\d/.test(name) ? `field${name}` : name;
}

/** `"URLPath"` → `"urlPath"`: the first letter, or the whole of a leading run of capitals but the last, in lower case. */
export function lowerFirst(name: string): string {
  return name.replace(/^(?:[A-Z]+(?=[A-Z][a-z]|[^A-Za-z]|$)|[A-Z])/, (capitals) => capitals.toLowerCase());
}

/** The first letter in upper case. */
export function upperFirst(name: string): string {
  return name.slice(0, 1).toUpperCase() + name.slice(1);
}

/** Names of the generated root fields, by root type. `uniqueFields` are the GraphQL names of `@unique` fields. */
export function operationNames(names: EntityNames, uniqueFields: readonly string[]) {
  const { single, plural, type, pluralType } = names;
  return {
    Query: [
      single,
      plural,
      `${plural}Connection`,
      `${plural}Count`,
      ...uniqueFields.map((field) => uniqueQueryName(names, field)),
    ],
    Mutation: [
      `create${type}`,
      `create${pluralType}`,
      `update${type}`,
      `update${pluralType}`,
      `upsert${type}`,
      `delete${type}`,
      `delete${pluralType}`,
    ],
    Subscription: [`${single}Changed`],
  } as const;
}

/** `teacherByEmail` */
export function uniqueQueryName(names: EntityNames, field: string): string {
  return `${names.single}By${upperFirst(field)}`;
}

/** Names of the types generated for an entity. */
export function generatedTypeNames({ type, pluralType }: EntityNames): string[] {
  return [
    `Create${type}Input`,
    `${type}Set`,
    `${type}Inc`,
    `${type}Where`,
    `${type}Filter`,
    `${type}ListFilter`,
    `${type}Order`,
    `${type}Unique`,
    `${type}Payload`,
    `${pluralType}Payload`,
    `${type}Connection`,
    `${type}Edge`,
    `${type}Change`,
  ];
}

/** Names of the types generated for a nested type. */
export function nestedTypeNames(type: string): string[] {
  return [`${type}Input`, `${type}Where`, `${type}ListFilter`, `${type}Order`];
}

/** Names of the types generated for a scalar or an enum. */
export function leafTypeNames(type: string): string[] {
  return [`${type}Filter`, `${type}ListFilter`];
}

/** Names of the types generated once for all entities; an SDL may use them and not define them. */
export const SHARED_TYPE_NAMES: readonly string[] = [
  'PageInfo',
  'OrderDirection',
  'WriteOutcome',
  'ChangeOperation',
  'Refusal',
];

/** Letters and digits of ASCII, with accents taken off, as words. */
function wordsOf(text: string): string[] {
  return (
    text
      .normalize('NFKD')
      .replace(/\p{M}/gu, '')
      .match(/[A-Za-z0-9]+/g) ?? []
  );
}
