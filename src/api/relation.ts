import type { GraphQLFieldResolver } from 'graphql';
import { type Document, encodeValue } from '../model/document.ts';
import type { Field, Relation } from '../model/entity.ts';
import { compileSort } from '../store/sort.ts';
import { DEFAULT_LIMIT, findOptions, type ListArguments } from './arguments.ts';
import { filterFor } from './conditions.ts';
import type { RelatedSource } from './loaders.ts';
import type { Operation } from './operation.ts';
import { followsOne } from './read-ahead.ts';
import type { Shapes } from './shapes.ts';

/** The resolver of a relation: one document or null, or a list. */
export function relationResolver(shapes: Shapes, field: Field): GraphQLFieldResolver<unknown, Operation> {
  const { ownerPath, targetPath, target: name } = field.relation as Relation;
  const target = shapes.entity(name);
  const source: RelatedSource = { target, path: targetPath, view: shapes.view(target) };
  return field.list ? manyResolver(shapes, ownerPath, source) : oneResolver(ownerPath, source);
}

function oneResolver(ownerPath: string, source: RelatedSource): GraphQLFieldResolver<unknown, Operation> {
  const resolver: GraphQLFieldResolver<unknown, Operation> = (document, _args, { loaders }) => {
    const key = (document as Document)[ownerPath];
    return key === null || key === undefined ? null : loaders.one(source, key);
  };
  return followsOne(resolver, { ownerPath, source });
}

function manyResolver(
  shapes: Shapes,
  ownerPath: string,
  source: RelatedSource,
): GraphQLFieldResolver<unknown, Operation, ListArguments> {
  return (document, list, operation) => {
    const key = (document as Document)[ownerPath];
    if (key === null || key === undefined) return [];
    return Array.isArray(key)
      ? byKeys(shapes, source, key, list, operation)
      : byKey(shapes, source, key, list, operation);
  };
}

function byKey(
  shapes: Shapes,
  source: RelatedSource,
  key: unknown,
  list: ListArguments,
  operation: Operation,
): Promise<Document[]> {
  return operation.loaders.many(source, key, variantOf(list), async () => ({
    filter: await filterFor(shapes, source.target, list.where, operation),
    options: findOptions(shapes, source.target, list),
  }));
}

/**
 * The documents of a list of keys, each once: in the order asked for, else in that of the keys. No key can contribute
 * more than the page and what is before it.
 */
async function byKeys(
  shapes: Shapes,
  source: RelatedSource,
  keys: readonly unknown[],
  list: ListArguments,
  operation: Operation,
): Promise<Document[]> {
  const { sort = {}, skip = 0, limit = DEFAULT_LIMIT } = findOptions(shapes, source.target, list);
  const upTo = { ...list, offset: 0, limit: skip + limit };
  const wanted = keys.filter((key) => key !== null && key !== undefined);
  const groups = await Promise.all(wanted.map((key) => byKey(shapes, source, key, upTo, operation)));
  const documents = [...new Map(groups.flat().map((document) => [encodeValue(document._id), document])).values()];
  if (list.orderBy !== null && list.orderBy !== undefined) documents.sort(compileSort(sort));
  return documents.slice(skip, skip + limit);
}

/**
 * Equal for equal arguments. The plain case is made without encoding, since it is made for every document of a level.
 */
function variantOf(list: ListArguments): string {
  const { where, orderBy, limit, offset } = list;
  return where === undefined && orderBy === undefined
    ? `${limit} ${offset}`
    : encodeValue([where, orderBy, limit, offset]);
}
