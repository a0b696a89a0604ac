import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isCompositeType,
  isListType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  typeFromAST,
} from 'graphql';
import { HoldfastError } from '../errors.ts';
import type { Limits } from './limits.ts';

/** Length assumed for a list that says nothing about it. */
const DEFAULT_LENGTH = 50;
const LENGTH_ARGUMENTS = new Set(['limit', 'first', 'last']);

type Variables = Readonly<Record<string, unknown>>;
/** Length of a list: the greatest of what `limit`, `first` and `last` say, in the document or by variables of the request. */
interface Length {
  readonly given: number | undefined;
  readonly variables: readonly { readonly name: string; readonly preset: number | undefined }[];
  /** When nothing is given. */
  readonly otherwise: number;
}

interface Weighed {
  /** Cost of each object or value of this field. */
  readonly weight: number;
  readonly list: boolean;
  /** From `limit`, `first` or `last`. On a field that is no list it is the length of the lists right below (a connection). */
  readonly length: Length | undefined;
  readonly below: Selection | undefined;
}

/** A selection set, or a fragment that several of them share. */
interface Selection {
  readonly fields: readonly Weighed[];
  readonly fragments: readonly Selection[];
}

/** What one operation may return at most, as a function of its variables. */
export class OperationCost {
  readonly #root: Selection;
  readonly #variable: boolean;
  #constant: { readonly cost: number; readonly page: number } | undefined;

  constructor(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) {
    const weigher = new Weigher(schema, document, operation);
    this.#root = weigher.select(schema.getRootType(operation.operation) ?? undefined, operation.selectionSet);
    this.#variable = weigher.usesVariables;
  }

  /**
   * Cost (object 1, scalar 0, a list times its length; `extensions.cost` of a field or type instead) and the greatest
   * length asked for. A field selected twice counts twice. Linear in the document, whatever its fragments do.
   */
  of(variables: Variables): { readonly cost: number; readonly page: number } {
    if (this.#constant !== undefined) return this.#constant;
    const sum = new Sum(variables);
    const result = { cost: sum.of(this.#root, undefined), page: sum.page };
    if (!this.#variable) this.#constant = result;
    return result;
  }

  /** @throws QUERY_TOO_COMPLEX */
  check(variables: Variables, limits: Limits): void {
    const { cost, page } = this.of(variables);
    if (page > limits.page) {
      throw new HoldfastError('QUERY_TOO_COMPLEX', `A list of ${page} is asked for; ${limits.page} are allowed.`, {
        details: { limit: 'page', count: page, max: limits.page },
      });
    }
    if (cost > limits.cost) {
      throw new HoldfastError(
        'QUERY_TOO_COMPLEX',
        `The query can return ${cost} objects; ${limits.cost} are allowed. Ask for shorter lists with limit or first.`,
        { details: { limit: 'cost', cost, max: limits.cost } },
      );
    }
  }
}

/** Builds the selections of one operation; each fragment once. */
class Weigher {
  usesVariables = false;
  readonly #schema: GraphQLSchema;
  readonly #fragments = new Map<string, FragmentDefinitionNode>();
  readonly #weighed = new Map<string, Selection>();
  readonly #presets = new Map<string, number>();

  constructor(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) {
    this.#schema = schema;
    for (const definition of document.definitions) {
      if (definition.kind === Kind.FRAGMENT_DEFINITION) this.#fragments.set(definition.name.value, definition);
    }
    for (const { variable, defaultValue } of operation.variableDefinitions ?? []) {
      if (defaultValue?.kind === Kind.INT)
        this.#presets.set(variable.name.value, Number.parseInt(defaultValue.value, 10));
    }
  }

  select(parent: GraphQLCompositeType | undefined, set: SelectionSetNode): Selection {
    const fields: Weighed[] = [];
    const fragments: Selection[] = [];
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) {
        const weighed = this.#field(parent, selection);
        if (weighed !== undefined) fields.push(weighed);
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        const condition = selection.typeCondition && typeFromAST(this.#schema, selection.typeCondition);
        fragments.push(this.select(isCompositeType(condition) ? condition : parent, selection.selectionSet));
      } else {
        fragments.push(this.#fragment(selection.name.value));
      }
    }
    return { fields, fragments };
  }

  #fragment(name: string): Selection {
    const known = this.#weighed.get(name);
    if (known !== undefined) return known;
    const definition = this.#fragments.get(name);
    if (definition === undefined) return { fields: [], fragments: [] };
    const condition = typeFromAST(this.#schema, definition.typeCondition);
    const selection = this.select(isCompositeType(condition) ? condition : undefined, definition.selectionSet);
    this.#weighed.set(name, selection);
    return selection;
  }

  /** Undefined when the field and all below it cost nothing. Introspection is free: it is bounded by the schema. */
  #field(parent: GraphQLCompositeType | undefined, node: FieldNode): Weighed | undefined {
    const definition = parent && 'getFields' in parent ? parent.getFields()[node.name.value] : undefined;
    if (definition === undefined) return undefined;
    const named = getNamedType(definition.type);
    const weight = weightOf(definition) ?? (isObjectType(named) ? weightOf(named) : undefined);
    const composite = isCompositeType(named);
    if (!composite && weight === undefined) return undefined;
    return {
      weight: weight ?? (composite ? 1 : 0),
      list: isListType(getNullableType(definition.type)),
      length: this.#length(definition, node),
      below: composite && node.selectionSet ? this.select(named, node.selectionSet) : undefined,
    };
  }

  #length(definition: GraphQLField<unknown, unknown>, node: FieldNode): Length | undefined {
    const accepted = definition.args.filter(({ name }) => LENGTH_ARGUMENTS.has(name));
    if (accepted.length === 0) return undefined;
    let given: number | undefined;
    const variables: { name: string; preset: number | undefined }[] = [];
    for (const { name } of accepted) {
      const value = node.arguments?.find((argument) => argument.name.value === name)?.value;
      if (value?.kind === Kind.VARIABLE) {
        this.usesVariables = true;
        variables.push({ name: value.name.value, preset: this.#presets.get(value.name.value) });
      } else if (value?.kind === Kind.INT) {
        given = Math.max(given ?? 0, Number.parseInt(value.value, 10));
      }
    }
    const otherwise = accepted.map(({ defaultValue }) => defaultValue).find((value) => typeof value === 'number');
    return { given, variables, otherwise: otherwise ?? DEFAULT_LENGTH };
  }
}

/** One summing up. A shared fragment is summed once for each list length it inherits. */
class Sum {
  page = 0;
  readonly #variables: Variables;
  readonly #known = new Map<Selection, Map<number | undefined, number>>();

  constructor(variables: Variables) {
    this.#variables = variables;
  }

  of(selection: Selection, inherited: number | undefined): number {
    let cost = 0;
    for (const field of selection.fields) cost += this.#field(field, inherited);
    for (const fragment of selection.fragments) cost += this.#fragment(fragment, inherited);
    return cost;
  }

  #field({ weight, list, length, below }: Weighed, inherited: number | undefined): number {
    const asked = length === undefined ? undefined : this.#resolve(length);
    if (asked !== undefined && asked > this.page) this.page = asked;
    const times = list ? (asked ?? inherited ?? DEFAULT_LENGTH) : 1;
    return times * (weight + (below === undefined ? 0 : this.of(below, list ? undefined : asked)));
  }

  #fragment(fragment: Selection, inherited: number | undefined): number {
    let costs = this.#known.get(fragment);
    if (costs === undefined) {
      costs = new Map();
      this.#known.set(fragment, costs);
    }
    let cost = costs.get(inherited);
    if (cost === undefined) {
      cost = this.of(fragment, inherited);
      costs.set(inherited, cost);
    }
    return cost;
  }

  #resolve({ given, variables, otherwise }: Length): number {
    let greatest = given;
    for (const { name, preset } of variables) {
      const value = Object.hasOwn(this.#variables, name) ? this.#variables[name] : preset;
      if (typeof value === 'number') greatest = Math.max(greatest ?? 0, value);
    }
    return greatest ?? otherwise;
  }
}

function weightOf({ extensions }: { readonly extensions: Readonly<Record<string, unknown>> }): number | undefined {
  return typeof extensions.cost === 'number' ? extensions.cost : undefined;
}
