import { type DefinitionNode, isTypeExtensionNode, print } from 'graphql';
import type { Model } from './entity.ts';

/**
 * The SDL in its canonical form: entities, then types that stand inside them, then everything else, each in the order of their
 * names; one layout, descriptions kept, comments gone.
 */
export function printModel(model: Model): string {
  const entities = new Set(model.entities.map((entity) => entity.name));
  const rankOf = (node: DefinitionNode): number => {
    if (isTypeExtensionNode(node)) return 3;
    const name = nameOf(node);
    return entities.has(name) ? 0 : model.objects.has(name) ? 1 : 2;
  };
  const printed = model.document.definitions.map((node) => ({
    rank: rankOf(node),
    name: nameOf(node),
    text: print(node),
  }));
  printed.sort((a, b) => a.rank - b.rank || compare(a.name, b.name) || compare(a.text, b.text));
  return `${printed.map(({ text }) => text).join('\n\n')}\n`;
}

function nameOf(node: DefinitionNode): string {
  return 'name' in node ? (node.name?.value ?? '') : '';
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
