import type { NameNode } from 'graphql';
import type { EntityDraft } from './entities.ts';
import type { Mistakes } from './mistakes.ts';
import { generatedTypeNames, operationNames, SHARED_TYPE_NAMES } from './naming.ts';
import type { Symbols } from './symbols.ts';

/** Notes entities whose generated names, or collections, meet each other's or the user's own types. */
export function checkNames(drafts: readonly EntityDraft[], symbols: Symbols, mistakes: Mistakes): void {
  const owners = new Map<string, string>();
  const noted = new Set<string>();
  /** Notes a second owner of `name` within `space`, once for each two entities. */
  const claim = (
    space: string,
    name: string,
    owner: string,
    at: NameNode,
    message: (other: string) => [string, string],
  ) => {
    const key = `${space} ${name}`;
    const other = owners.get(key);
    if (other === undefined) owners.set(key, owner);
    else if (other !== owner && !noted.has(`${other} ${owner}`)) {
      noted.add(`${other} ${owner}`);
      mistakes.add(at, ...message(other));
    }
  };

  for (const { entity, node } of drafts) {
    const { name, names } = entity;
    claim('entity', name.toLowerCase(), name, node.name, (other) => [
      `the entities ${other} and ${name} differ only by case`,
      'rename one',
    ]);
    claim('collection', entity.collection.toLowerCase(), name, node.name, (other) => [
      `the entities ${other} and ${name} are stored in the same collection "${entity.collection}"`,
      'give one another @entity(collection: …)',
    ]);
    const unique = entity.fields.filter((field) => field.unique).map((field) => field.name);
    for (const [root, operations] of Object.entries(operationNames(names, unique))) {
      for (const operation of operations) {
        claim(root, operation, name, node.name, (other) => [
          `the entities ${other} and ${name} both need the ${root.toLowerCase()} "${operation}"`,
          'rename one, or give it another @entity(plural: …)',
        ]);
      }
    }
    for (const type of generatedTypeNames(names)) {
      const own = symbols.types.get(type);
      if (own !== undefined) {
        mistakes.add(own.name, `"${type}" is the name of a type generated for ${name}`, 'choose another name');
      }
      claim('type', type, name, node.name, (other) => [
        `the entities ${other} and ${name} both need the type "${type}"`,
        'rename one, or give it another @entity(plural: …)',
      ]);
    }
  }
  for (const name of SHARED_TYPE_NAMES) {
    const own = symbols.types.get(name);
    if (own !== undefined) mistakes.add(own.name, `"${name}" is the name of a generated type`, 'choose another name');
  }
}
