import { BSONRegExp } from 'bson';
import type { FindOptions as DriverFindOptions } from 'mongodb';
import { type Document, regexOptions } from '../model/document.ts';
import { compileFilter, type Matcher } from './filter.ts';
import { READ_OPTIONS } from './mongo-bson.ts';
import { METADATA, reserved } from './mongo-document.ts';
import { compileProjection } from './projection.ts';
import { compileSort } from './sort.ts';
import type { Filter, FindOptions, Sort, Update } from './store.ts';
import { isDocument } from './value.ts';

/** What keeps tombstones out of an answer. */
const ALIVE: Document = { [`${METADATA}.deleted`]: { $ne: true } };

/**
 * A query as it is sent. It is checked by our own compilers first: what they refuse by name never reaches the server, so every
 * store refuses the same.
 */
export class MongoQuery {
  /** The filter to send, tombstones excluded. */
  readonly filter: Document;
  /** The same question asked of one document here. */
  readonly matches: Matcher;
  readonly sort: readonly [string, 1 | -1][];
  readonly skip: number;
  /** Infinity: all. */
  readonly limit: number;
  readonly project: (document: Document) => Document;
  readonly #projection: Document;

  /** @throws VALIDATION_FAILED, UNSUPPORTED_OPERATOR */
  constructor(filter: Filter, { sort = {}, skip = 0, limit, projection }: FindOptions = {}) {
    refuseMetadata(filter);
    this.matches = compileFilter(filter);
    this.filter = { ...(sendable(filter) as Document), ...ALIVE };
    compileSort(sort);
    refuseReserved(Object.keys(sort));
    this.sort = sortOf(sort);
    this.skip = skip;
    this.limit = limit ?? Number.POSITIVE_INFINITY;
    refuseReserved(Object.keys(projection ?? {}));
    this.project = projection === undefined ? (document) => document : compileProjection(projection);
    this.#projection = projectionOf(projection);
  }

  /** For the driver's `find`, without the metadata field. */
  options({ skip, limit }: { readonly skip: number; readonly limit: number } = this): DriverFindOptions {
    return {
      ...READ_OPTIONS,
      projection: this.#projection,
      sort: [...this.sort],
      skip,
      ...(limit === Number.POSITIVE_INFINITY ? {} : { limit }),
    };
  }
}

/** @throws VALIDATION_FAILED when an update names the metadata field */
export function refuseMetadataUpdate(update: Update): void {
  for (const [operator, operands] of Object.entries(update)) {
    if (!isDocument(operands)) continue;
    refuseReserved(Object.keys(operands));
    if (operator === '$rename') refuseReserved(Object.values(operands));
  }
}

/** `_id` of a filter that asks for this one document and nothing else; undefined for every other filter. */
export function soleId(filter: Filter): { readonly _id: unknown } | undefined {
  if (Object.keys(filter).length !== 1 || filter._id === undefined) return undefined;
  const { _id } = filter;
  if (isPlain(_id)) return { _id };
  if (!isDocument(_id) || Object.keys(_id).length !== 1 || !isPlain(_id.$eq)) return undefined;
  return { _id: _id.$eq };
}

/** A value as the driver must get it in a filter: `undefined` asks as null does, a RegExp with the options BSON has. */
export function sendable(value: unknown): unknown {
  if (value === undefined) return null;
  if (value instanceof RegExp) return new BSONRegExp(value.source, regexOptions(value));
  if (Array.isArray(value)) return value.map(sendable);
  if (!isDocument(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, sendable(item)]));
}

function isPlain(value: unknown): boolean {
  const type = (value as { readonly _bsontype?: unknown } | null)?._bsontype;
  return typeof value === 'string' || typeof value === 'number' || type === 'ObjectId' || type === 'Long';
}

/** The fields to order by, ended by `_id`: an order without ties. */
function sortOf(sort: Sort): [string, 1 | -1][] {
  const fields: [string, 1 | -1][] = [];
  for (const field of Object.entries(sort)) {
    fields.push(field);
    if (field[0] === '_id') return fields;
  }
  return [...fields, ['_id', 1]];
}

/** What the server leaves out: whole fields at the top. The rest of a projection is done here, the same for all servers. */
function projectionOf(projection: Document | undefined): Document {
  const included = Object.entries(projection ?? {}).filter(([path, value]) => path !== '_id' && Boolean(Number(value)));
  if (included.length === 0) return { [METADATA]: 0 };
  return Object.fromEntries(included.map(([path]) => [path.split('.', 1)[0] as string, 1]));
}

function refuseMetadata(filter: Filter): void {
  refuseReserved(Object.keys(filter));
  for (const [key, value] of Object.entries(filter)) {
    if (!key.startsWith('$') || !Array.isArray(value)) continue;
    for (const clause of value) if (isDocument(clause)) refuseMetadata(clause);
  }
}

function refuseReserved(paths: readonly unknown[]): void {
  for (const path of paths) {
    if (path === METADATA || (typeof path === 'string' && path.startsWith(`${METADATA}.`))) throw reserved();
  }
}
