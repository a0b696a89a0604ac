import type { GraphQLFieldResolver } from 'graphql';
import { type Document, encodeValue } from '../model/document.ts';
import type { Entity, Field, Relation } from '../model/entity.ts';
import { compileSort } from '../store/sort.ts';
import { DEFAULT_LIMIT, findOptions, type ListArguments } from './arguments.ts';
import { filterFor } from './conditions.ts';
import type { RelatedQuery } from './loaders.ts';
import type { Operation } from './operation.ts';
import type { Shapes } from './shapes.ts';

/** The first document of a relation to one; which one when there are several is settled by `_id`. */
const ONE: RelatedQuery = { filter: {}, options: { limit: 1 } };

/** The resolver of a relation: one document or null, or a list. */
export function relationResolver(shapes: Shapes, field: Field): GraphQLFieldResolver<unknown, Operation> {
  const relation = field.relation as Relation;
  const target = shapes.entity(relation.target);
  return field.list ? manyResolver(shapes, relation, target) : oneResolver(relation, target);
}

function oneResolver(relation: Relation, target: Entity): GraphQLFieldResolver<unknown, Operation> {
  return (source, _args, context) => {
    const key = (source as Document)[relation.ownerPath];
    if (key === null || key === undefined) return null;
    return context.loaders.load(relation, target, key, 'one', () => ONE).then(firstOf);
  };
}

function manyResolver(
  shapes: Shapes,
  relation: Relation,
  target: Entity,
): GraphQLFieldResolver<unknown, Operation, ListArguments> {
  return (source, list, context) => {
    const key = (source as Document)[relation.ownerPath];
    if (key === null || key === undefined) return [];
    if (Array.isArray(key)) return joined(shapes, relation, target, key, list, context);
    return context.loaders.load(relation, target, key, variantOf(list), () =>
      relatedQuery(shapes, target, list, context),
    );
  };
}

/**
 * The documents of a list of keys, each once: in the order asked for, else in that of the keys. No key can contribute more
 * than the page and what is before it.
 */
async function joined(
  shapes: Shapes,
  relation: Relation,
  target: Entity,
  keys: readonly unknown[],
  list: ListArguments,
  context: Operation,
): Promise<Document[]> {
  const { sort, skip = 0, limit = DEFAULT_LIMIT } = findOptions(shapes, target, list);
  const upTo = { ...list, offset: 0, limit: skip + limit };
  const wanted = keys.filter((key) => key !== null && key !== undefined);
  const groups = await Promise.all(
    wanted.map((key) =>
      context.loaders.load(relation, target, key, variantOf(upTo), () => relatedQuery(shapes, target, upTo, context)),
    ),
  );
  const documents = [...new Map(groups.flat().map((document) => [encodeValue(document._id), document])).values()];
  if (list.orderBy !== null && list.orderBy !== undefined) documents.sort(compileSort(sort ?? {}));
  return documents.slice(skip, skip + limit);
}

async function relatedQuery(
  shapes: Shapes,
  target: Entity,
  list: ListArguments,
  context: Operation,
): Promise<RelatedQuery> {
  return { filter: await filterFor(shapes, target, list.where, context), options: findOptions(shapes, target, list) };
}

/** Equal for equal arguments. The plain case is made without encoding, since it is made for every document of a level. */
function variantOf(list: ListArguments): string {
  const { where, orderBy, limit, offset } = list;
  return where === undefined && orderBy === undefined
    ? `${limit} ${offset}`
    : encodeValue([where, orderBy, limit, offset]);
}

function firstOf(documents: readonly Document[]): Document | null {
  return documents[0] ?? null;
}
