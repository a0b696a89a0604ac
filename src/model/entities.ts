import { DirectiveLocation, type ObjectTypeDefinitionNode } from 'graphql';
import type { AppliedDirectives, DirectiveReader } from './directives.ts';
import { ConflictPolicy, type Entity, type FallbackRules, type Field, type ObjectType } from './entity.ts';
import { FieldBuilder, isStorableKey, type TypeDraft } from './fields.ts';
import { collectFieldIndexes, collectRelationIndexes, IndexCollector } from './indexes.ts';
import type { Mistakes } from './mistakes.ts';
import { entityNames } from './naming.ts';
import { resolveRelation } from './relations.ts';
import type { Symbols } from './symbols.ts';

/** The entities and every type nested in one of them, at any depth. */
export function draftTypes(symbols: Symbols, directives: DirectiveReader, mistakes: Mistakes): Map<string, TypeDraft> {
  const builder = new FieldBuilder(symbols, directives, mistakes);
  const types = new Map<string, TypeDraft>();
  for (const [name, node] of symbols.entities) types.set(name, builder.build(node, true));
  // A Map's iteration also visits what is added on the way.
  for (const { fields } of types.values()) {
    for (const { field } of fields.values()) {
      const node = field.kind === 'OBJECT' && !types.has(field.type) ? symbols.types.get(field.type) : undefined;
      if (node !== undefined) types.set(field.type, builder.build(node as ObjectTypeDefinitionNode, false));
    }
  }
  for (const type of types.values()) checkNested(type, types, mistakes);
  return types;
}

/** Notes nested types that no document could hold, or of which the API would show nothing. */
function checkNested(type: TypeDraft, types: ReadonlyMap<string, TypeDraft>, mistakes: Mistakes): void {
  const { node, fields, isEntity } = type;
  if (isEntity) return;
  const name = node.name.value;
  if (fields.size > 0 && fields.values().every(({ field }) => field.hidden)) {
    mistakes.add(node.name, `every field of ${name} is hidden`, 'show one, or hide the fields of this type');
  }
  const needed = new Set<TypeDraft>();
  const visit = (around: TypeDraft): void => {
    for (const { field } of around.fields.values()) {
      const inner = field.kind === 'OBJECT' && field.required && !field.list ? types.get(field.type) : undefined;
      if (inner === undefined || needed.has(inner)) continue;
      needed.add(inner);
      visit(inner);
    }
  };
  visit(type);
  if (needed.has(type)) {
    mistakes.add(node.name, `${name} contains itself without end`, 'make one of the fields nullable');
  }
}

/** The nested types among `types`. */
export function objectTypes(types: ReadonlyMap<string, TypeDraft>): Map<string, ObjectType> {
  const nested = [...types].filter(([, type]) => !type.isEntity);
  return new Map(
    nested.map(([name, type]) => [name, { name, fields: [...type.fields.values()].map(({ field }) => field) }]),
  );
}

/** An entity with the node it was read from. */
export interface EntityDraft {
  readonly entity: Entity;
  readonly node: ObjectTypeDefinitionNode;
}

/** Joins the drafts to entities: relations, indexes, names. Entities without an `@id` are left out, with a mistake. */
export function buildEntities(
  symbols: Symbols,
  types: ReadonlyMap<string, TypeDraft>,
  directives: DirectiveReader,
  mistakes: Mistakes,
): EntityDraft[] {
  const collectors = new Map([...symbols.entities.keys()].map((name) => [name, new IndexCollector()]));
  const fields = new Map<string, Field[]>();
  for (const [name, collector] of collectors) {
    collectFieldIndexes(types.get(name)!, types, collector, mistakes);
  }
  for (const [name, collector] of collectors) {
    const type = types.get(name)!;
    fields.set(
      name,
      [...type.fields.values()].map((draft) => {
        if (draft.field.kind !== 'RELATION') return draft.field;
        const relation = resolveRelation(draft, type, types, mistakes);
        if (relation === undefined) return draft.field;
        collectRelationIndexes(collector, collectors.get(relation.target), relation);
        return { ...draft.field, relation };
      }),
    );
  }
  const drafts: EntityDraft[] = [];
  for (const [name, node] of symbols.entities) {
    const applied = directives.read(node.directives, DirectiveLocation.OBJECT);
    const id = idOf(types.get(name)!, mistakes);
    if (id === undefined) continue;
    const names = entityNames(name, pluralOf(applied, node, mistakes));
    const indexes = collectors.get(name)!.indexes();
    checkIndexNames(indexes, node, mistakes);
    drafts.push({
      node,
      entity: {
        name,
        names,
        collection: collectionOf(applied, names.plural, mistakes),
        fields: fields.get(name)!.map((field) => indexedBy(field, indexes)),
        id,
        indexes,
        replicates: applied.get('replicate')?.[0]?.args.mode !== 'NONE',
        conflict: (applied.get('conflict')?.[0]?.args.policy as ConflictPolicy | undefined) ?? ConflictPolicy.REJECT,
        fallback: { ...NO_FALLBACK, ...(applied.get('fallback')?.[0]?.args as Partial<FallbackRules> | undefined) },
        description: node.description?.value,
      },
    });
  }
  return drafts;
}

const NO_FALLBACK: FallbackRules = { lists: 'REFUSE', masked: 'NULL', writes: 'REJECT' };

function indexedBy(field: Field, indexes: Entity['indexes']): Field {
  const indexed = field.kind !== 'RELATION' && indexes.some(({ paths }) => paths[0] === field.storedName);
  return indexed && !field.indexed ? { ...field, indexed } : field;
}

function idOf({ node, fields }: TypeDraft, mistakes: Mistakes): Field | undefined {
  const [id, second] = [...fields.values()].filter(({ isId }) => isId);
  if (id === undefined) {
    mistakes.add(node.name, `${node.name.value} has no @id`, 'write: id: ID! @id');
  } else if (second !== undefined) {
    mistakes.add(
      second.node.name,
      `${node.name.value} has two @id: ${id.field.name} and ${second.field.name}`,
      'keep one',
    );
  }
  return id?.field;
}

function pluralOf(applied: AppliedDirectives, node: ObjectTypeDefinitionNode, mistakes: Mistakes): string | undefined {
  const entity = applied.get('entity')?.[0];
  const plural = entity?.args.plural as string | undefined;
  if (entity === undefined || plural === undefined) return undefined;
  if (/^[A-Za-z][_0-9A-Za-z]*$/.test(plural) && plural.toLowerCase() !== node.name.value.toLowerCase()) return plural;
  mistakes.add(
    entity.node,
    `"${plural}" cannot be the plural of ${node.name.value}`,
    'use letters and digits, and another word',
  );
  return undefined;
}

function collectionOf(applied: AppliedDirectives, plural: string, mistakes: Mistakes): string {
  const entity = applied.get('entity')?.[0];
  const collection = (entity?.args.collection as string | undefined) ?? plural;
  if (entity !== undefined && (!isStorableKey(collection.replaceAll('.', '')) || /\$|^system\./.test(collection))) {
    mistakes.add(
      entity.node,
      `${JSON.stringify(collection)} cannot be the name of a collection`,
      'use letters, digits and "_"',
    );
  }
  return collection;
}

function checkIndexNames(indexes: Entity['indexes'], node: ObjectTypeDefinitionNode, mistakes: Mistakes): void {
  const seen = new Set<string>();
  for (const { name } of indexes) {
    if (seen.has(name))
      mistakes.add(node.name, `${node.name.value} has two indexes "${name}"`, 'give one another name');
    seen.add(name);
  }
}
