import type { Document } from '../model/document.ts';
import type { Entity } from '../model/entity.ts';
import type { Filter, Sort } from '../store/store.ts';
import { countArgument, DEFAULT_LIMIT } from './arguments.ts';
import { badInput } from './bad-input.ts';
import { filterFor } from './conditions.ts';
import { beyondCursor, cursorOf, reversed } from './cursor.ts';
import type { Operation } from './operation.ts';
import { type OrderInput, sortOf } from './order.ts';
import type { Shapes } from './shapes.ts';
import type { WhereInput } from './where.ts';

/** Arguments of a connection as the client gave them. */
export interface ConnectionArguments {
  readonly where?: WhereInput | null;
  readonly orderBy?: OrderInput | null;
  readonly first?: number | null;
  readonly after?: string | null;
  readonly last?: number | null;
  readonly before?: string | null;
}

/** What a page holds, and how it continues. */
export interface PageInfo {
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  readonly startCursor: string | null;
  readonly endCursor: string | null;
}

/** A page of a connection; cursors are made when asked for. */
export class Connection {
  readonly nodes: readonly Document[];
  readonly #sort: Sort;
  readonly #more: Pick<PageInfo, 'hasNextPage' | 'hasPreviousPage'>;
  readonly #count: () => Promise<number>;

  constructor(
    nodes: readonly Document[],
    sort: Sort,
    more: Pick<PageInfo, 'hasNextPage' | 'hasPreviousPage'>,
    count: () => Promise<number>,
  ) {
    this.nodes = nodes;
    this.#sort = sort;
    this.#more = more;
    this.#count = count;
  }

  get edges(): readonly { readonly cursor: string; readonly node: Document }[] {
    return this.nodes.map((node) => ({ cursor: cursorOf(node, this.#sort), node }));
  }

  get pageInfo(): PageInfo {
    const first = this.nodes.at(0);
    const last = this.nodes.at(-1);
    return {
      ...this.#more,
      startCursor: first === undefined ? null : cursorOf(first, this.#sort),
      endCursor: last === undefined ? null : cursorOf(last, this.#sort),
    };
  }

  /** How many documents match, whatever the page. */
  totalCount(): Promise<number> {
    return this.#count();
  }
}

/**
 * One page by keyset: the place in the order is the cursor, so pages stay right while documents come and go.
 * `first` with `after` goes forward, `last` with `before` backward; a bound on the other side is respected too.
 * @throws BAD_USER_INPUT
 */
export async function connectionOf(
  shapes: Shapes,
  entity: Entity,
  page: ConnectionArguments,
  context: Operation,
): Promise<Connection> {
  const { service, request } = context;
  const first = countArgument('first', page.first, Number.MAX_SAFE_INTEGER);
  const last = countArgument('last', page.last, Number.MAX_SAFE_INTEGER);
  if (first !== undefined && last !== undefined) throw badInput('give first or last, not both');
  const backward = last !== undefined;
  const size = first ?? last ?? DEFAULT_LIMIT;

  const sort = sortOf(shapes, entity, page.orderBy);
  const bounds: Filter[] = [];
  if (typeof page.after === 'string') bounds.push(beyondCursor(page.after, sort, 'after'));
  if (typeof page.before === 'string') bounds.push(beyondCursor(page.before, sort, 'before'));
  const filter = await filterFor(shapes, entity, page.where, context);

  const found = await service.find(
    entity,
    bounds.length === 0 ? filter : { $and: [filter, ...bounds] },
    { sort: backward ? reversed(sort) : sort, limit: size + 1 },
    request,
  );
  const nodes = found.slice(0, size).map(shapes.view(entity));
  if (backward) nodes.reverse();
  const more = found.length > size;
  return new Connection(
    nodes,
    sort,
    {
      hasNextPage: backward ? typeof page.before === 'string' : more,
      hasPreviousPage: backward ? more : typeof page.after === 'string',
    },
    () => service.count(entity, filter, request),
  );
}
