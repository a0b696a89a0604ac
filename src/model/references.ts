import {
  type ConstDirectiveNode,
  type DefinitionNode,
  DirectiveLocation,
  type FieldDefinitionNode,
  Kind,
  type NamedTypeNode,
  type ObjectTypeDefinitionNode,
  type ObjectTypeExtensionNode,
  type TypeNode,
} from 'graphql';
import { builtInTypeNames } from './built-in.ts';
import type { DirectiveReader } from './directives.ts';
import type { Mistakes } from './mistakes.ts';
import { entityNames, generatedTypeNames, leafTypeNames, nestedTypeNames, SHARED_TYPE_NAMES } from './naming.ts';
import { didYouMean, type Symbols } from './symbols.ts';

/** What may stand on fields that resolvers answer. */
const EXTENSION_DIRECTIVES = ['auth', 'cost'];

/**
 * Checks what holds for every definition, also for those that only hand-written resolvers use: types exist (generated ones
 * count), directives are known and well used, fields, values and arguments have names of their own.
 */
export function checkReferences(
  definitions: readonly DefinitionNode[],
  symbols: Symbols,
  directives: DirectiveReader,
  mistakes: Mistakes,
): void {
  const defined = [...symbols.types.keys(), ...builtInTypeNames(), ...SHARED_TYPE_NAMES];
  const known = new Set([
    ...defined,
    ...[...symbols.entities.keys()].flatMap((name) => generatedTypeNames(entityNames(name))),
    ...defined.flatMap((name) => [...nestedTypeNames(name), ...leafTypeNames(name)]),
  ]);

  /** Field names seen, by type: an extension may not repeat a field of the type. */
  const fieldNames = new Map<string, Set<string>>();

  for (const node of definitions) {
    switch (node.kind) {
      case Kind.OBJECT_TYPE_DEFINITION:
      case Kind.OBJECT_TYPE_EXTENSION: {
        apply(node.directives, DirectiveLocation.OBJECT);
        for (const type of node.interfaces ?? []) checkType(type);
        const name = node.name.value;
        const seen = fieldNames.get(name) ?? new Set();
        fieldNames.set(name, seen);
        checkFields(node.fields, seen);
        if (node.kind === Kind.OBJECT_TYPE_EXTENSION) checkExtension(node);
        else if (!symbols.entities.has(name)) checkForgotten(node);
        break;
      }
      case Kind.INTERFACE_TYPE_DEFINITION:
      case Kind.INTERFACE_TYPE_EXTENSION:
        apply(node.directives, DirectiveLocation.INTERFACE);
        for (const type of node.interfaces ?? []) checkType(type);
        checkFields(node.fields);
        break;
      case Kind.INPUT_OBJECT_TYPE_DEFINITION:
      case Kind.INPUT_OBJECT_TYPE_EXTENSION:
        apply(node.directives, DirectiveLocation.INPUT_OBJECT);
        checkNames(node.fields, 'field');
        for (const field of node.fields ?? []) {
          apply(field.directives, DirectiveLocation.INPUT_FIELD_DEFINITION);
          checkType(field.type);
        }
        break;
      case Kind.UNION_TYPE_DEFINITION:
      case Kind.UNION_TYPE_EXTENSION:
        apply(node.directives, DirectiveLocation.UNION);
        for (const type of node.types ?? []) checkType(type);
        break;
      case Kind.SCALAR_TYPE_DEFINITION:
      case Kind.SCALAR_TYPE_EXTENSION:
        apply(node.directives, DirectiveLocation.SCALAR);
        break;
      case Kind.ENUM_TYPE_DEFINITION:
      case Kind.ENUM_TYPE_EXTENSION:
        apply(node.directives, DirectiveLocation.ENUM);
        checkNames(node.values, 'value');
        for (const value of node.values ?? []) apply(value.directives, DirectiveLocation.ENUM_VALUE);
        break;
      case Kind.DIRECTIVE_DEFINITION:
        for (const argument of node.arguments ?? []) checkType(argument.type);
        break;
      default:
    }
  }

  function checkFields(fields: readonly FieldDefinitionNode[] | undefined, seen?: Set<string>): void {
    checkNames(fields, 'field', seen);
    for (const field of fields ?? []) {
      apply(field.directives, DirectiveLocation.FIELD_DEFINITION);
      checkType(field.type);
      checkNames(field.arguments, 'argument');
      for (const argument of field.arguments ?? []) {
        apply(argument.directives, DirectiveLocation.ARGUMENT_DEFINITION);
        checkType(argument.type);
      }
    }
  }

  function checkNames(
    nodes: readonly { readonly name: FieldDefinitionNode['name'] }[] | undefined,
    what: string,
    seen = new Set<string>(),
  ): void {
    for (const { name } of nodes ?? []) {
      if (seen.has(name.value)) mistakes.add(name, `${what} ${name.value} is defined twice`, 'rename or remove one');
      seen.add(name.value);
    }
  }

  function checkExtension(node: ObjectTypeExtensionNode): void {
    const places = [node.directives, ...(node.fields ?? []).map((field) => field.directives)];
    for (const directive of places.flatMap((nodes) => nodes ?? [])) {
      const { value: name } = directive.name;
      if (!directives.isBuiltIn(name) || EXTENSION_DIRECTIVES.includes(name)) continue;
      const message = `@${name} has no effect in "extend type ${node.name.value}": what it adds is not stored`;
      mistakes.add(directive, message, 'move it to the definition of the type');
    }
  }

  function checkForgotten(node: ObjectTypeDefinitionNode): void {
    for (const field of node.fields ?? []) {
      const id = field.directives?.find((directive) => directive.name.value === 'id');
      if (id === undefined) continue;
      mistakes.add(id, `${node.name.value} has an @id, but is not an entity`, `write: type ${node.name.value} @entity`);
    }
  }

  function checkType(node: TypeNode): void {
    const type = namedTypeOf(node);
    const name = type.name.value;
    if (known.has(name) || symbols.broken.has(name)) return;
    mistakes.add(type, `unknown type "${name}"`, didYouMean(name, defined));
  }

  function apply(nodes: readonly ConstDirectiveNode[] | undefined, location: DirectiveLocation): void {
    directives.read(nodes, location);
  }
}

/** The type without its list and non-null marks. */
export function namedTypeOf(node: TypeNode): NamedTypeNode {
  return node.kind === Kind.NAMED_TYPE ? node : namedTypeOf(node.type);
}
