/** A foreign key of the target between two tables that are loaded; tables by their id in the archive. */
export interface LiveKey {
  /** Of the constraint as it was declared: partitions have copies of it, with the same id. */
  readonly id: string;
  readonly child: number;
  readonly parent: number;
  readonly deferrable: boolean;
}

/** In which order the tables of a cycle are loaded, and the keys that this order breaks on the way. */
export interface CycleOrder {
  readonly tables: readonly number[];
  /** Ids of keys whose parents come later; without them the order is topological. */
  readonly broken: ReadonlySet<string>;
  /** Whether all of them can be checked at the end of a transaction instead. */
  readonly deferrable: boolean;
}

/** Up to here every order is tried (5,040 of them); above, tables are taken greedily. */
const EXACT = 7;

/**
 * The order of a cycle's tables that breaks the fewest keys which cannot be deferred, then the fewest keys. A key of a table to
 * itself is broken only when the table is loaded in several transactions.
 */
export function orderCycle(
  tables: readonly number[],
  keys: readonly LiveKey[],
  isSplit: (table: number) => boolean,
): CycleOrder {
  const orders = tables.length <= EXACT ? permutations(tables) : [greedy(tables, keys)];
  let best: { readonly order: CycleOrder; readonly fixed: number } | undefined;
  for (const order of orders) {
    const place = new Map(order.map((table, index) => [table, index]));
    const breaks = keys.filter(({ child, parent }) =>
      child === parent ? isSplit(child) : (place.get(parent) ?? 0) > (place.get(child) ?? 0),
    );
    const broken = new Set(breaks.map(({ id }) => id));
    const fixed = new Set(breaks.filter(({ deferrable }) => !deferrable).map(({ id }) => id)).size;
    const isBetter =
      best === undefined || fixed < best.fixed || (fixed === best.fixed && broken.size < best.order.broken.size);
    if (isBetter) best = { order: { tables: order, broken, deferrable: fixed === 0 }, fixed };
  }
  return best?.order ?? { tables: [], broken: new Set(), deferrable: true };
}

function* permutations(items: readonly number[]): Generator<readonly number[]> {
  if (items.length <= 1) {
    yield items;
    return;
  }
  for (const [index, first] of items.entries()) {
    for (const rest of permutations(items.toSpliced(index, 1))) yield [first, ...rest];
  }
}

/** Next comes the table with the fewest parents that are not loaded yet; of equals, the one with the most children. */
function greedy(tables: readonly number[], keys: readonly LiveKey[]): readonly number[] {
  const parents = new Map(tables.map((table) => [table, new Set<number>()]));
  const children = new Map(tables.map((table) => [table, new Set<number>()]));
  for (const { child, parent } of keys) {
    if (child === parent) continue;
    parents.get(child)?.add(parent);
    children.get(parent)?.add(child);
  }
  const count = (of: ReadonlyMap<number, ReadonlySet<number>>, table: number): number => of.get(table)?.size ?? 0;
  const left = new Set(tables);
  const order: number[] = [];
  while (left.size > 0) {
    const next = [...left].reduce((best, table) => {
      const fewer = count(parents, table) - count(parents, best);
      return fewer < 0 || (fewer === 0 && count(children, table) > count(children, best)) ? table : best;
    });
    left.delete(next);
    for (const child of children.get(next) ?? []) parents.get(child)?.delete(next);
    for (const parent of parents.get(next) ?? []) children.get(parent)?.delete(next);
    order.push(next);
  }
  return order;
}
