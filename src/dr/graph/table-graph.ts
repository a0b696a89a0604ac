import { components } from './components.ts';

/** A foreign key, from child to parent; tables by their id in the archive. */
export interface ForeignKey {
  readonly name: string;
  readonly child: number;
  readonly parent: number;
  readonly childColumns: readonly string[];
  readonly parentColumns: readonly string[];
  readonly deferrable: boolean;
  /** False for a key the server never checked (PostgreSQL's NOT VALID); it is restored unchecked. */
  readonly validated: boolean;
  /** Whether a child row with a partly NULL key refers to nothing (SIMPLE) or is refused (FULL). */
  readonly match: 'SIMPLE' | 'FULL';
}

/** The dependency graph of the tables by their foreign keys; tables by id. */
export interface TableGraph {
  readonly keys: readonly ForeignKey[];
  /** Number of distinct parents of each table, itself not counted. */
  readonly inDegree: Readonly<Record<string, number>>;
  /** Parents before children; the tables of a cycle stand together. */
  readonly order: readonly number[];
  /** The strongly connected components of more than one table. */
  readonly cycles: readonly (readonly number[])[];
}

/**
 * The graph of `tables` by those of `keys` that lie between two of them. Equal input gives an equal graph.
 * @param rootOf the partitioned table that a partition belongs to: a key of one is a key of all its partitions, so they stand
 *   together in the order
 */
export function tableGraph(
  tables: readonly number[],
  keys: readonly ForeignKey[],
  rootOf: (table: number) => number = (table) => table,
): TableGraph {
  const known = new Set(tables);
  const within = keys.filter(({ child, parent }) => known.has(child) && known.has(parent));
  const members = Map.groupBy(tables, rootOf);
  const parents = new Map([...members.keys()].map((root) => [root, new Set<number>()]));
  for (const key of within) {
    const [child, parent] = [rootOf(key.child), rootOf(key.parent)];
    if (child !== parent) parents.get(child)!.add(parent);
  }
  const targets = new Map([...parents].map(([root, set]) => [root, [...set].sort((a, b) => a - b)]));
  const found = components([...members.keys()], (root) => targets.get(root)!);
  const expand = (roots: readonly number[]): number[] => roots.flatMap((root) => members.get(root)!);
  return {
    keys: within,
    inDegree: Object.fromEntries(tables.map((id) => [String(id), targets.get(rootOf(id))!.length])),
    order: found.flatMap(expand),
    cycles: found.filter((roots) => roots.length > 1).map(expand),
  };
}

/** `roots` and every table that they reach from child to parent. */
export function ancestors(roots: Iterable<number>, keys: readonly ForeignKey[]): Set<number> {
  const reached = new Set(roots);
  // A set that grows while it is walked is walked to its end.
  for (const id of reached) for (const { child, parent } of keys) if (child === id) reached.add(parent);
  return reached;
}
