import type { Entity, Relation } from './entity.ts';
import type { FieldDraft, TypeDraft } from './fields.ts';
import type { Mistakes } from './mistakes.ts';
import { didYouMean } from './symbols.ts';

type Index = Entity['indexes'][number];

/** Collects the indexes of one entity; the same paths are indexed once, and a unique index serves for a plain one. */
export class IndexCollector {
  readonly #byPaths = new Map<string, Index>();

  /** An index over stored paths, named as MongoDB names it by default unless `name` is given. The `_id` has its own. */
  add(paths: readonly string[], unique: boolean, name?: string): void {
    if (paths.length === 1 && paths[0] === '_id') return;
    const key = paths.join('\0');
    const known = this.#byPaths.get(key);
    if (known !== undefined && !(unique && !known.unique) && name === undefined) return;
    this.#byPaths.set(key, {
      name: name ?? known?.name ?? paths.map((path) => `${path}_1`).join('_'),
      paths,
      unique: unique || known?.unique === true,
    });
  }

  /** All indexes, in the order of the fields that ask for them. */
  indexes(): Index[] {
    return [...this.#byPaths.values()];
  }
}

/** Indexes from `@unique` and `@index` on the entity's fields and, by their paths, on those of the types nested in it. */
export function collectFieldIndexes(
  type: TypeDraft,
  types: ReadonlyMap<string, TypeDraft>,
  collector: IndexCollector,
  mistakes: Mistakes,
  prefix = '',
  around: readonly TypeDraft[] = [],
): void {
  for (const draft of type.fields.values()) {
    const { field } = draft;
    const path = prefix + field.storedName;
    if (field.unique) collector.add([path], true);
    for (const { node, args } of draft.indexes) {
      const paths = [path];
      for (const name of (args.with as readonly string[] | undefined) ?? []) {
        const other = type.fields.get(name);
        if (other === undefined || other.field.kind === 'RELATION' || other.field.kind === 'OBJECT') {
          const names = [...type.fields.values()].filter(isIndexable).map((known) => known.field.name);
          mistakes.add(
            node,
            `@index on ${field.name}: no field "${name}" that can be indexed`,
            didYouMean(name, names),
          );
        } else if (paths.includes(prefix + other.field.storedName)) {
          mistakes.add(node, `@index on ${field.name}: ${name} stands in it twice`, 'remove one');
        } else paths.push(prefix + other.field.storedName);
      }
      collector.add(paths, false, args.name as string | undefined);
    }
    const nested = field.kind === 'OBJECT' ? types.get(field.type) : undefined;
    // A type inside itself is indexed at its first level: deeper ones have no fixed path.
    if (nested !== undefined && nested !== type && !around.includes(nested)) {
      collectFieldIndexes(nested, types, collector, mistakes, `${path}.`, [...around, type]);
    }
  }
}

/** The indexes that let a relation find its documents from either side. */
export function collectRelationIndexes(
  owner: IndexCollector | undefined,
  target: IndexCollector | undefined,
  relation: Relation,
): void {
  owner?.add([relation.ownerPath], false);
  target?.add([relation.targetPath], false);
}

function isIndexable({ field }: FieldDraft): boolean {
  return field.kind === 'SCALAR' || field.kind === 'ENUM';
}
