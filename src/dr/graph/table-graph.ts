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

/** The graph of `tables` by those of `keys` that lie between two of them. Equal input gives an equal graph. */
export function tableGraph(tables: readonly number[], keys: readonly ForeignKey[]): TableGraph {
  const parents = new Map(tables.map((id) => [id, new Set<number>()]));
  const within = keys.filter(({ child, parent }) => parents.has(child) && parents.has(parent));
  for (const { child, parent } of within) if (child !== parent) parents.get(child)!.add(parent);
  const targets = new Map([...parents].map(([id, set]) => [id, [...set].sort((a, b) => a - b)]));
  const found = components(tables, (id) => targets.get(id)!);
  return {
    keys: within,
    inDegree: Object.fromEntries(tables.map((id) => [String(id), targets.get(id)!.length])),
    order: found.flat(),
    cycles: found.filter((members) => members.length > 1),
  };
}

/** `roots` and every table that they reach from child to parent. */
export function ancestors(roots: Iterable<number>, keys: readonly ForeignKey[]): Set<number> {
  const reached = new Set(roots);
  // A set that grows while it is walked is walked to its end.
  for (const id of reached) for (const { child, parent } of keys) if (child === id) reached.add(parent);
  return reached;
}
