import {
  type DocumentNode,
  type ExecutionResult,
  type FragmentDefinitionNode,
  GraphQLBoolean,
  type GraphQLError,
  GraphQLFloat,
  GraphQLID,
  GraphQLInt,
  type GraphQLLeafType,
  type GraphQLSchema,
  GraphQLString,
  Kind,
  type OperationDefinitionNode,
} from 'graphql';
import { type CompiledQuery, compileQuery, isCompiledQuery } from 'graphql-jit';
import { asNumber } from '../api/stored-number.ts';
import { Lru } from '../util/lru.ts';
import { conditionVariables, flatten } from './flatten.ts';
import { isPromise, type Run, Shadow } from './shadow.ts';
import type { OperationVariables, Variables } from './variables.ts';

/** Response paths of the compiled queries that are kept, together; each is about a kilobyte of code. */
const MAX_COMPILED_PATHS = 20_000;
/** Executions by graphql-js before an operation is compiled: most documents with literals in them never come again. */
const COMPILE_AFTER = 2;
/** More conditions than this make too many variants. */
const MAX_CONDITIONS = 4;

/** One operation of a valid document. */
export interface Compilable {
  readonly document: DocumentNode;
  readonly node: OperationDefinitionNode;
  readonly variables: OperationVariables;
}

/** A query compiled for one set of condition values, or the knowledge that it cannot be. */
interface Variant {
  readonly query: CompiledQuery['query'] | undefined;
  readonly paths: number;
  /** Set by a serializer that met a promise or a function: objects of this query are not plain, graphql-js must read them. */
  impure: boolean;
}

/** What the compiler remembers of an operation as long as that lives. */
interface Known {
  readonly id: number;
  readonly conditions: readonly string[];
  readonly fragments: Record<string, FragmentDefinitionNode>;
  uses: number;
  impossible: boolean;
}

/**
 * Executes hot queries by code that graphql-jit compiles, several times cheaper than graphql-js on lists. Answers are those
 * of graphql-js; where an answer could differ, it declines and the caller asks graphql-js.
 */
export class Compiler {
  readonly #schema: GraphQLSchema;
  readonly #shadow: Shadow;
  readonly #variants = new Lru<string, Variant>(MAX_COMPILED_PATHS, ({ paths }) => paths);
  readonly #known = new WeakMap<Compilable, Known>();
  #nextId = 0;

  constructor(schema: GraphQLSchema) {
    this.#schema = schema;
    this.#shadow = new Shadow(schema);
  }

  /**
   * The answer to a query; undefined when graphql-js should be asked. It also resolves to undefined, after resolvers have run,
   * when it finds out late: queries may run twice, mutations are never compiled.
   */
  execute(
    prepared: Compilable,
    context: unknown,
    variables: Variables | undefined,
  ): ExecutionResult | Promise<ExecutionResult | undefined> | undefined {
    if (prepared.node.operation !== 'query') return undefined;
    const known = this.#knownOf(prepared);
    if (known.impossible || ++known.uses <= COMPILE_AFTER) return undefined;
    const coerced = prepared.variables.read(variables);
    if (coerced === undefined) return undefined;
    const variant = this.#variant(prepared, known, coerced);
    if (variant.query === undefined || variant.impure) return undefined;
    const { node: operation } = prepared;
    return execute(variant, variant.query, { context, variables: coerced, operation, fragments: known.fragments });
  }

  #knownOf(prepared: Compilable): Known {
    let known = this.#known.get(prepared);
    if (known === undefined) {
      const conditions = conditionVariables(prepared.document);
      const fragments: Known['fragments'] = Object.create(null);
      for (const definition of prepared.document.definitions) {
        if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments[definition.name.value] = definition;
      }
      const impossible = conditions.length > MAX_CONDITIONS;
      known = { id: this.#nextId++, conditions, fragments, uses: 0, impossible };
      this.#known.set(prepared, known);
    }
    return known;
  }

  #variant(prepared: Compilable, known: Known, variables: Variables): Variant {
    let key = String(known.id);
    for (const name of known.conditions) key += variables[name] === true ? '+' : '-';
    let variant = this.#variants.get(key);
    if (variant === undefined) {
      variant = this.#compile(prepared, variables);
      if (variant.query === undefined && known.conditions.length === 0) known.impossible = true;
      this.#variants.set(key, variant);
    }
    return variant;
  }

  #compile({ document, node }: Compilable, variables: Variables): Variant {
    const flat = flatten(this.#schema, document, node, variables);
    if (flat === undefined) return { query: undefined, paths: 1, impure: false };
    const customSerializers: Record<string, (value: unknown) => unknown> = {};
    const markImpure = () => {
      variant.impure = true;
    };
    for (const type of flat.leafTypes) customSerializers[type.name] = serializer(type, markImpure);
    const compiled = compileQuery(
      this.#shadow.schema,
      { kind: Kind.DOCUMENT, definitions: [flat.operation] },
      undefined,
      { customSerializers, disablingCapturingStackErrors: true },
    );
    const query = isCompiledQuery(compiled) ? compiled.query : undefined;
    const variant: Variant = { query, paths: flat.paths, impure: false };
    return variant;
  }
}

function execute(
  variant: Variant,
  query: CompiledQuery['query'],
  facts: Omit<Run, 'fail'>,
): ExecutionResult | Promise<ExecutionResult | undefined> | undefined {
  let failed = false;
  let giveUp = () => {};
  const fail = () => {
    failed = true;
    giveUp();
  };
  const trusted = (result: unknown) => (failed || variant.impure ? undefined : worded(result as ExecutionResult));
  try {
    const result: unknown = query(undefined, { ...facts, fail } satisfies Run, {});
    if (!isPromise(result)) return trusted(result);
    return new Promise((resolve) => {
      giveUp = () => resolve(undefined);
      result.then((value) => resolve(trusted(value)), giveUp);
    });
  } catch {
    return undefined;
  }
}

/** What graphql-jit says of a null in a field that the query has several times: it names the field as often. */
const REPEATED_FIELD = /^(Cannot return null for non-nullable field \w+\.)\((\w+)(?:,\2)+\)\.$/;

/** The result with its errors worded as graphql-js words them. */
function worded(result: ExecutionResult): ExecutionResult {
  if (result.errors === undefined) return result;
  const errors = result.errors.map((error): GraphQLError => {
    const message = error.message.replace(REPEATED_FIELD, '$1$2.');
    // The message of an error is read-only.
    return message === error.message ? error : Object.create(error, { message: { value: message, enumerable: true } });
  });
  return { ...result, errors };
}

/** The type of the values that a scalar gives back as they are. */
const PLAIN = new Map<GraphQLLeafType, 'string' | 'boolean'>([
  [GraphQLID, 'string'],
  [GraphQLString, 'string'],
  [GraphQLBoolean, 'boolean'],
]);

/** Serializes like graphql-js, and notices what compiled code took for a value although it was none. */
function serializer(type: GraphQLLeafType, markImpure: () => void): (value: unknown) => unknown {
  const plain = PLAIN.get(type);
  const isNumber = type === GraphQLInt || type === GraphQLFloat;
  return (value) => {
    if (typeof value === plain) return value;
    if (typeof value === 'function' || (typeof value === 'object' && isPromise(value))) {
      markImpure();
      return null;
    }
    const serialized = type.serialize(isNumber ? asNumber(value) : value);
    if (serialized == null) {
      throw new Error(`Expected \`${type.name}.serialize\` to return a value, but it returned ${String(serialized)}.`);
    }
    return serialized;
  };
}
