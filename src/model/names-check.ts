import type { NameNode } from 'graphql';
import type { EntityDraft } from './entities.ts';
import type { TypeDraft } from './fields.ts';
import type { Mistakes } from './mistakes.ts';
import { generatedTypeNames, leafTypeNames, nestedTypeNames, operationNames, SHARED_TYPE_NAMES } from './naming.ts';
import { SCALARS } from './scalars.ts';
import type { Symbols } from './symbols.ts';

/** Notes entities whose generated operations, or collections, have the same name. */
export function checkEntityNames(drafts: readonly EntityDraft[], mistakes: Mistakes): void {
  const owners = new Map<string, string>();
  const noted = new Set<string>();
  /** Notes a second owner of `name` within `space`, once for each two entities. */
  const claim = (space: string, name: string, { entity, node }: EntityDraft, message: (other: string) => string[]) => {
    const other = owners.get(`${space} ${name}`);
    if (other === undefined) owners.set(`${space} ${name}`, entity.name);
    else if (other !== entity.name && !noted.has(`${other} ${entity.name}`)) {
      noted.add(`${other} ${entity.name}`);
      const [text = '', suggestion] = message(other);
      mistakes.add(node.name, text, suggestion);
    }
  };

  for (const draft of drafts) {
    const { name, names, collection, fields } = draft.entity;
    claim('entity', name.toLowerCase(), draft, (other) => [
      `the entities ${other} and ${name} differ only by case`,
      'rename one',
    ]);
    claim('collection', collection.toLowerCase(), draft, (other) => [
      `the entities ${other} and ${name} are stored in the same collection "${collection}"`,
      'give one another @entity(collection: …)',
    ]);
    const unique = fields.filter((field) => field.unique).map((field) => field.name);
    for (const [root, operations] of Object.entries(operationNames(names, unique))) {
      for (const operation of operations) {
        claim(root, operation, draft, (other) => [
          `the entities ${other} and ${name} both need the ${root.toLowerCase()} "${operation}"`,
          'rename one, or give it another @entity(plural: …)',
        ]);
      }
    }
  }
}

/** Notes types whose names, or the names of the types generated for them, are the same. */
export function checkTypeNames(
  drafts: readonly EntityDraft[],
  types: ReadonlyMap<string, TypeDraft>,
  symbols: Symbols,
  mistakes: Mistakes,
): void {
  const owners = new Map<string, string>(SHARED_TYPE_NAMES.map((name) => [name, 'all entities']));
  const noted = new Set<string>();
  const claim = (names: readonly string[], owner: string, at?: NameNode): void => {
    for (const name of names) {
      const other = owners.get(name);
      if (other === undefined) owners.set(name, owner);
      else if (other !== owner && at !== undefined && !noted.has(`${other} ${owner}`)) {
        noted.add(`${other} ${owner}`);
        mistakes.add(at, `"${name}" would be a type generated for ${other} and one for ${owner}`, 'rename one');
      }
    }
  };
  for (const name of SCALARS.keys()) claim(leafTypeNames(name), name);
  for (const { entity, node } of drafts) claim(generatedTypeNames(entity.names), entity.name, node.name);
  for (const [name, { isEntity, node }] of types) if (!isEntity) claim(nestedTypeNames(name), name, node.name);
  for (const name of symbols.enums.keys()) claim(leafTypeNames(name), name, symbols.types.get(name)?.name);
  for (const [name, node] of symbols.types) {
    const owner = owners.get(name);
    if (owner !== undefined) {
      mistakes.add(node.name, `"${name}" is the name of a type generated for ${owner}`, 'choose another name');
    }
  }
}
