import type { Document } from '../model/document.ts';
import type { Entity } from '../model/entity.ts';
import type { Filter } from '../store/store.ts';
import { findOptions, type ListArguments } from './arguments.ts';
import { filterFor } from './conditions.ts';
import type { Operation } from './operation.ts';
import type { Shapes } from './shapes.ts';
import type { WhereInput } from './where.ts';

/** The view of the first document, by id, that matches the filter; null when there is none. */
export async function readOne(
  shapes: Shapes,
  entity: Entity,
  filter: Filter,
  { service, request }: Operation,
): Promise<Document | null> {
  const [document] = await service.find(entity, filter, { limit: 1 }, request);
  return document === undefined ? null : shapes.view(entity)(document);
}

/** The views of a list. @throws BAD_USER_INPUT, QUERY_TOO_COMPLEX */
export async function readMany(
  shapes: Shapes,
  entity: Entity,
  list: ListArguments,
  operation: Operation,
): Promise<Document[]> {
  const options = findOptions(shapes, entity, list);
  const filter = await filterFor(shapes, entity, list.where, operation);
  const documents = await operation.service.find(entity, filter, options, operation.request);
  return documents.map(shapes.view(entity));
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
