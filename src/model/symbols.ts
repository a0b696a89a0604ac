import {
  type DefinitionNode,
  type DirectiveDefinitionNode,
  isTypeDefinitionNode,
  isTypeExtensionNode,
  Kind,
  type ObjectTypeDefinitionNode,
  type TypeDefinitionNode,
  type TypeExtensionNode,
} from 'graphql';
import { nearest } from '../util/nearest.ts';
import { builtInTypeNames } from './built-in.ts';
import type { Mistakes } from './mistakes.ts';

/** What the sources define, by name. */
export interface Symbols {
  /** The user's types, without repeated declarations of built-in scalars; in the order of the sources. */
  readonly types: ReadonlyMap<string, TypeDefinitionNode>;
  /** Types with `@entity`. */
  readonly entities: ReadonlyMap<string, ObjectTypeDefinitionNode>;
  /** Values of each enum, those of its extensions included. */
  readonly enums: ReadonlyMap<string, readonly string[]>;
  readonly extensions: readonly TypeExtensionNode[];
  /** Directives the user defines. */
  readonly directives: ReadonlyMap<string, DirectiveDefinitionNode>;
  /** Names that may be used although no definition could be read. */
  readonly broken: ReadonlySet<string>;
  /** Everything that belongs to the model's document. */
  readonly definitions: readonly DefinitionNode[];
}

const ROOT_TYPES = ['Query', 'Mutation', 'Subscription'];

/** Sorts the definitions of all sources by name and notes what is defined twice or may not be defined. */
export function collectSymbols(
  all: readonly DefinitionNode[],
  brokenNames: readonly string[],
  directiveNames: ReadonlySet<string>,
  mistakes: Mistakes,
): Symbols {
  const builtIn = builtInTypeNames();
  const broken = new Set(brokenNames);
  const types = new Map<string, TypeDefinitionNode>();
  const directives = new Map<string, DirectiveDefinitionNode>();
  const extensions: TypeExtensionNode[] = [];
  const definitions: DefinitionNode[] = [];

  for (const node of all) {
    if (node.kind === Kind.SCALAR_TYPE_DEFINITION && builtIn.has(node.name.value)) continue;
    definitions.push(node);
    if (isTypeDefinitionNode(node)) addType(node);
    else if (isTypeExtensionNode(node)) extensions.push(node);
    else if (node.kind === Kind.DIRECTIVE_DEFINITION) addDirective(node);
    else if (node.kind === Kind.SCHEMA_DEFINITION || node.kind === Kind.SCHEMA_EXTENSION) {
      mistakes.add(node, 'the root types are generated', 'remove the schema definition');
    } else mistakes.add(node, 'only definitions of types and directives belong here', 'move operations to the client');
  }
  for (const node of extensions) checkExtension(node);

  return {
    types,
    entities: new Map([...types].filter(isEntity)),
    enums: enumValues(types, extensions),
    extensions,
    directives,
    broken,
    definitions,
  };

  function addType(node: TypeDefinitionNode): void {
    const name = node.name.value;
    const first = types.get(name);
    if (ROOT_TYPES.includes(name)) {
      mistakes.add(node.name, `type ${name} is generated`, `write: extend type ${name} { … }`);
    } else if (name.startsWith('__')) {
      mistakes.add(node.name, `"${name}" is a name of GraphQL itself`, 'choose one that does not begin with "__"');
    } else if (builtIn.has(name)) {
      mistakes.add(node.name, `"${name}" is a type of Holdfast`, 'choose another name');
    } else if (first !== undefined) {
      const place = `${first.loc?.source.name}:${first.name.loc?.startToken.line}`;
      mistakes.add(node.name, `type ${name} is defined twice, first at ${place}`, 'rename or remove one');
    } else types.set(name, node);
  }

  function addDirective(node: DirectiveDefinitionNode): void {
    const name = node.name.value;
    if (directiveNames.has(name)) {
      mistakes.add(node.name, `directive @${name} is already defined`, 'remove this definition');
    } else if (directives.has(name)) {
      mistakes.add(node.name, `directive @${name} is defined twice`, 'remove one');
    } else directives.set(name, node);
  }

  function checkExtension(node: TypeExtensionNode): void {
    const name = node.name.value;
    if (types.has(name) || ROOT_TYPES.includes(name) || broken.has(name)) return;
    mistakes.add(node.name, `unknown type "${name}"`, didYouMean(name, [...types.keys(), ...ROOT_TYPES]));
  }
}

function isEntity(entry: [string, TypeDefinitionNode]): entry is [string, ObjectTypeDefinitionNode] {
  const [, node] = entry;
  return (
    node.kind === Kind.OBJECT_TYPE_DEFINITION &&
    (node.directives ?? []).some((directive) => directive.name.value === 'entity')
  );
}

function enumValues(types: ReadonlyMap<string, TypeDefinitionNode>, extensions: readonly TypeExtensionNode[]) {
  const values = new Map<string, string[]>();
  for (const node of [...types.values(), ...extensions]) {
    if (node.kind !== Kind.ENUM_TYPE_DEFINITION && node.kind !== Kind.ENUM_TYPE_EXTENSION) continue;
    const known = values.get(node.name.value) ?? [];
    values.set(node.name.value, [...known, ...(node.values ?? []).map((value) => value.name.value)]);
  }
  return values;
}

/** A suggestion with the candidate nearest to `name`; undefined when none is near. */
export function didYouMean(name: string, candidates: Iterable<string>): string | undefined {
  const candidate = nearest(name, candidates);
  return candidate === undefined ? undefined : `did you mean "${candidate}"?`;
}
