import type { Document } from '../model/document.ts';
import type { Entity } from '../model/entity.ts';
import type { Filter } from '../store/store.ts';
import { findOptions, type ListArguments } from './arguments.ts';
import { filterFor } from './conditions.ts';
import type { Operation } from './operation.ts';
import type { Shapes } from './shapes.ts';
import type { WhereInput } from './where.ts';

/** The first document, by id, that matches the filter; null when there is none. */
export async function readOne(
  entity: Entity,
  filter: Filter,
  { service, request }: Operation,
): Promise<Document | null> {
  const [document] = await service.find(entity, filter, { limit: 1 }, request);
  return document ?? null;
}

/** A list. @throws BAD_USER_INPUT, QUERY_TOO_COMPLEX */
export async function readMany(
  shapes: Shapes,
  entity: Entity,
  list: ListArguments,
  operation: Operation,
): Promise<Document[]> {
  const options = findOptions(shapes, entity, list);
  const filter = await filterFor(shapes, entity, list.where, operation);
  return operation.service.find(entity, filter, options, operation.request);
}

/** How many documents match. @throws BAD_USER_INPUT, QUERY_TOO_COMPLEX */
export async function readCount(
  shapes: Shapes,
  entity: Entity,
  where: WhereInput | null | undefined,
  operation: Operation,
): Promise<number> {
  const filter = await filterFor(shapes, entity, where, operation);
  return operation.service.count(entity, filter, operation.request);
}
