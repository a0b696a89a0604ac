import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLLeafType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isAbstractType,
  isLeafType,
  isListType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';

/** Response paths of one operation above which it is not worth compiling. */
const MAX_PATHS = 1_000;

const CONDITIONS = new Set(['skip', 'include']);

/** An operation whose fragments and conditions are resolved: only fields are left, each response name in one place. */
export interface FlatOperation {
  readonly operation: OperationDefinitionNode;
  /** Scalars and enums that its answer holds. */
  readonly leafTypes: ReadonlySet<GraphQLLeafType>;
  /** Number of response paths. */
  readonly paths: number;
}

/** Names of the variables that `@skip` and `@include` look at. */
export function conditionVariables(document: DocumentNode): string[] {
  const names = new Set<string>();
  const visit = (set: SelectionSetNode): void => {
    for (const selection of set.selections) {
      for (const directive of selection.directives ?? []) {
        if (!CONDITIONS.has(directive.name.value)) continue;
        const value = directive.arguments?.[0]?.value;
        if (value?.kind === Kind.VARIABLE) names.add(value.name.value);
      }
      if (selection.kind !== Kind.FRAGMENT_SPREAD && selection.selectionSet !== undefined)
        visit(selection.selectionSet);
    }
  };
  for (const definition of document.definitions) if ('selectionSet' in definition) visit(definition.selectionSet);
  return [...names];
}

/**
 * Collects the fields of a query the way graphql-js does while it executes (spec section "Field Collection"), for one
 * set of condition values. Undefined for what the compiler would get wrong: abstract types, types that want to check their
 * objects, introspection, lists of lists, and answers of too many parts.
 */
export function flatten(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  conditions: Readonly<Record<string, unknown>>,
): FlatOperation | undefined {
  const root = schema.getQueryType();
  if (operation.operation !== 'query' || root == null) return undefined;
  const flattener = new Flattener(schema, document, conditions);
  const selections = flattener.flatten(root, [operation.selectionSet]);
  if (selections === undefined) return undefined;
  const selectionSet: SelectionSetNode = { kind: Kind.SELECTION_SET, selections };
  return {
    operation: { ...operation, variableDefinitions: [], directives: [], selectionSet },
    leafTypes: flattener.leafTypes,
    paths: flattener.paths,
  };
}

class Flattener {
  readonly leafTypes = new Set<GraphQLLeafType>();
  readonly #schema: GraphQLSchema;
  readonly #fragments = new Map<string, FragmentDefinitionNode>();
  readonly #conditions: Readonly<Record<string, unknown>>;
  paths = 0;

  constructor(schema: GraphQLSchema, document: DocumentNode, conditions: Readonly<Record<string, unknown>>) {
    this.#schema = schema;
    this.#conditions = conditions;
    for (const definition of document.definitions) {
      if (definition.kind === Kind.FRAGMENT_DEFINITION) this.#fragments.set(definition.name.value, definition);
    }
  }

  flatten(type: GraphQLObjectType, sets: readonly SelectionSetNode[]): FieldNode[] | undefined {
    const collected = new Map<string, FieldNode[]>();
    const entered = new Set<string>();
    for (const set of sets) this.#collect(type, set, collected, entered);
    const flat: FieldNode[] = [];
    for (const [name, nodes] of collected) {
      if (++this.paths > MAX_PATHS) return undefined;
      const fields = this.#field(type, name, nodes);
      if (fields === undefined) return undefined;
      flat.push(...fields);
    }
    return flat;
  }

  /** All nodes of one response name: the first carries the merged selections, the others stay for the locations in errors. */
  #field(type: GraphQLObjectType, responseName: string, nodes: readonly FieldNode[]): FieldNode[] | undefined {
    const [first] = nodes;
    if (first === undefined) return undefined;
    const bare = nodes.map(({ selectionSet: _, directives, ...node }): FieldNode => {
      return { ...node, directives: directives?.filter(({ name }) => !CONDITIONS.has(name.value)) ?? [] };
    });
    if (first.name.value === '__typename') return bare;
    if (responseName.startsWith('__')) return undefined;
    const definition = type.getFields()[first.name.value];
    if (definition === undefined) return undefined;
    const named = getNamedType(definition.type);
    const list = getNullableType(definition.type);
    if (isListType(list) && isListType(getNullableType(list.ofType))) return undefined;
    if (isLeafType(named)) {
      this.leafTypes.add(named);
      return bare;
    }
    if (!isObjectType(named) || named.isTypeOf != null) return undefined;
    const sets = nodes.flatMap(({ selectionSet }) => (selectionSet === undefined ? [] : [selectionSet]));
    const selections = this.flatten(named, sets);
    if (selections === undefined) return undefined;
    return bare.map((node, index) =>
      index === 0 ? { ...node, selectionSet: { kind: Kind.SELECTION_SET, selections } } : node,
    );
  }

  #collect(
    type: GraphQLObjectType,
    set: SelectionSetNode,
    collected: Map<string, FieldNode[]>,
    entered: Set<string>,
  ): void {
    for (const selection of set.selections) {
      if (!this.#included(selection)) continue;
      if (selection.kind === Kind.FIELD) {
        const name = selection.alias?.value ?? selection.name.value;
        const nodes = collected.get(name);
        if (nodes === undefined) collected.set(name, [selection]);
        else nodes.push(selection);
        continue;
      }
      const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : this.#enter(selection.name.value, entered);
      if (fragment === undefined || !this.#applies(type, fragment.typeCondition?.name.value)) continue;
      this.#collect(type, fragment.selectionSet, collected, entered);
    }
  }

  #enter(name: string, entered: Set<string>): FragmentDefinitionNode | undefined {
    if (entered.has(name)) return undefined;
    entered.add(name);
    return this.#fragments.get(name);
  }

  #applies(type: GraphQLObjectType, condition: string | undefined): boolean {
    if (condition === undefined || condition === type.name) return true;
    const conditionType = this.#schema.getType(condition);
    return isAbstractType(conditionType) && this.#schema.isSubType(conditionType, type);
  }

  #included({ directives }: SelectionNode): boolean {
    for (const directive of directives ?? []) {
      const value = directive.arguments?.[0]?.value;
      const on =
        value?.kind === Kind.BOOLEAN
          ? value.value
          : value?.kind === Kind.VARIABLE && this.#conditions[value.name.value];
      if (directive.name.value === 'skip' && on === true) return false;
      if (directive.name.value === 'include' && on !== true) return false;
    }
    return true;
  }
}
