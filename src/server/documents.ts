import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  Kind,
  NoSchemaIntrospectionCustomRule,
  type OperationDefinitionNode,
  parse,
  specifiedRules,
  validate,
} from 'graphql';
import { Lru } from '../util/lru.ts';
import { Compiler } from './compiler.ts';
import { OperationCost } from './cost.ts';
import { toGraphQLError } from './errors.ts';
import type { Limits } from './limits.ts';
import type { OperationSummary } from './options.ts';
import { checkShape } from './shape.ts';
import { OperationVariables, VariableReaders } from './variables.ts';

/** Characters of the texts that are remembered, together; a parsed document takes up to 150 bytes for each. */
const MAX_KEPT_CHARACTERS = 500_000;
/** Longer texts are not remembered: a few of them would drive out all others. */
const MAX_KEPT_LENGTH = 20_000;
const MAX_VALIDATION_ERRORS = 5;

/** One operation of a valid document. */
export class PreparedOperation implements OperationSummary {
  readonly schema: GraphQLSchema;
  readonly document: DocumentNode;
  readonly node: OperationDefinitionNode;
  readonly name: string | undefined;
  readonly type: OperationSummary['type'];
  readonly cost: OperationCost;
  readonly variables: OperationVariables;
  readonly compiler: Compiler | undefined;
  #fields: readonly string[] | undefined;

  constructor(
    schema: GraphQLSchema,
    document: DocumentNode,
    node: OperationDefinitionNode,
    readers: VariableReaders,
    compiler?: Compiler,
  ) {
    this.schema = schema;
    this.compiler = compiler;
    this.document = document;
    this.node = node;
    this.name = node.name?.value;
    this.type = node.operation;
    this.cost = new OperationCost(schema, document, node);
    this.variables = new OperationVariables(readers, node.variableDefinitions);
  }

  get fields(): readonly string[] {
    this.#fields ??= rootFields(this.document, this.node);
    return this.#fields;
  }
}

/** A document that may be executed, or the reasons why not. */
export interface Prepared {
  readonly operations: readonly PreparedOperation[];
  readonly errors: readonly GraphQLError[];
}

export interface DocumentsOptions {
  readonly limits: Limits;
  readonly production: boolean;
  /** Whether queries that come again are compiled. */
  readonly compile: boolean;
}

/** Parses and validates queries against one schema and remembers the valid ones. */
export class Documents {
  readonly #schema: GraphQLSchema;
  readonly #options: DocumentsOptions;
  readonly #rules;
  readonly #readers: VariableReaders;
  readonly #compiler: Compiler | undefined;
  readonly #kept = new Lru<string, Prepared>(MAX_KEPT_CHARACTERS, (_prepared, query) => query.length);

  constructor(schema: GraphQLSchema, options: DocumentsOptions) {
    this.#schema = schema;
    this.#options = options;
    this.#rules = options.production ? [...specifiedRules, NoSchemaIntrospectionCustomRule] : specifiedRules;
    this.#readers = new VariableReaders(schema);
    this.#compiler = options.compile ? new Compiler(schema) : undefined;
  }

  /** A document that was prepared before and is still remembered. */
  known(query: string): Prepared | undefined {
    return this.#kept.get(query);
  }

  prepare(query: string): Prepared {
    const prepared = this.#prepare(query);
    if (prepared.errors.length === 0 && query.length <= MAX_KEPT_LENGTH) this.#kept.set(query, prepared);
    return prepared;
  }

  #prepare(query: string): Prepared {
    const { limits, production: hideSuggestions } = this.#options;
    const schema = this.#schema;
    try {
      const document = parse(query, { maxTokens: limits.tokens });
      checkShape(document, limits);
      const errors = validate(schema, document, this.#rules, {
        maxErrors: MAX_VALIDATION_ERRORS,
        hideSuggestions,
      });
      if (errors.length > 0) return refused(errors.map((error) => toGraphQLError(error, 'GRAPHQL_VALIDATION_FAILED')));
      const operations = document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
      return {
        operations: operations.map(
          (node) => new PreparedOperation(schema, document, node, this.#readers, this.#compiler),
        ),
        errors: [],
      };
    } catch (error) {
      return refused([toGraphQLError(error, 'GRAPHQL_PARSE_FAILED')]);
    }
  }
}

/** The operation of that name, or the only one. */
export function operationOf({ operations }: Prepared, name: string | undefined): PreparedOperation | GraphQLError {
  const extensions = { code: 'OPERATION_RESOLUTION_FAILURE' };
  if (name !== undefined && name !== '') {
    const found = operations.find((operation) => operation.name === name);
    return found ?? new GraphQLError(`Unknown operation named "${name}".`, { extensions });
  }
  const [only, ...others] = operations;
  if (only === undefined) return new GraphQLError('The document has no operation.', { extensions });
  if (others.length === 0) return only;
  return new GraphQLError('Must provide operation name if query contains multiple operations.', { extensions });
}

function refused(errors: readonly GraphQLError[]): Prepared {
  return { operations: [], errors };
}

/** Names of the root fields, fragments expanded. */
function rootFields(document: DocumentNode, operation: OperationDefinitionNode): string[] {
  const names = new Set<string>();
  const entered = new Set<string>();
  const collect = (set: OperationDefinitionNode['selectionSet']): void => {
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) names.add(selection.name.value);
      else if (selection.kind === Kind.INLINE_FRAGMENT) collect(selection.selectionSet);
      else if (!entered.has(selection.name.value)) {
        entered.add(selection.name.value);
        for (const definition of document.definitions) {
          if (definition.kind !== Kind.FRAGMENT_DEFINITION || definition.name.value !== selection.name.value) continue;
          collect(definition.selectionSet);
        }
      }
    }
  };
  collect(operation.selectionSet);
  return [...names];
}
