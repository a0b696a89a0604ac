import {
  defaultFieldResolver,
  type FieldNode,
  type GraphQLField,
  type GraphQLFieldMap,
  type GraphQLFieldResolver,
  GraphQLList,
  GraphQLNonNull,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  getArgumentValues,
  getNullableType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  type OperationDefinitionNode,
} from 'graphql';
import { storedNumber } from '../api/stored-number.ts';

/** What resolvers of a compiled query get in place of their context; the wrapper around each takes it apart. */
export interface Run {
  readonly context: unknown;
  readonly variables: Record<string, unknown>;
  readonly operation: OperationDefinitionNode;
  readonly fragments: GraphQLResolveInfo['fragments'];
  /** Says that the answer of the compiled code cannot be trusted. */
  readonly fail: () => void;
}

type Resolver = GraphQLFieldResolver<unknown, Run>;
type Field = GraphQLField<unknown, unknown>;

/**
 * A view of a schema for graphql-jit in which everything it does differently from graphql-js is taken out of its hands: arguments
 * and variables (it keeps literals as JSON, leaves variables in lists and objects null), promises and functions as properties of
 * objects, rejected items of a list, asynchronous iterables. What remains are resolvers without arguments, and scalars read
 * from plain properties. Types are wrapped when a query first needs them.
 */
export class Shadow {
  readonly schema: GraphQLSchema;
  readonly #original: GraphQLSchema;
  readonly #types = new Map<GraphQLObjectType, GraphQLObjectType>();

  constructor(original: GraphQLSchema) {
    this.#original = original;
    const root = () => {
      const type = original.getQueryType();
      return type && this.#object(type);
    };
    this.schema = Object.create(original, { getQueryType: { value: root }, getRootType: { value: root } });
  }

  #object(type: GraphQLObjectType): GraphQLObjectType {
    let shadow = this.#types.get(type);
    if (shadow === undefined) {
      let fields: GraphQLFieldMap<unknown, unknown> | undefined;
      const getFields = () => {
        fields ??= Object.fromEntries(
          Object.entries(type.getFields()).map(([name, field]) => [name, this.#field(type, field)]),
        );
        return fields;
      };
      shadow = Object.create(type, { getFields: { value: getFields } }) as GraphQLObjectType;
      this.#types.set(type, shadow);
    }
    return shadow;
  }

  #field(parent: GraphQLObjectType, field: Field): Field {
    const isRead = field.resolve === undefined || field.resolve === storedNumber;
    const plain = isRead && isLeafType(getNullableType(field.type));
    const shadow = { ...field, args: [], type: this.#output(field.type) };
    if (plain) return shadow;
    return { ...shadow, resolve: this.#resolver(parent, field) as GraphQLFieldResolver<unknown, unknown> };
  }

  #output(type: GraphQLOutputType): GraphQLOutputType {
    if (isNonNullType(type)) return new GraphQLNonNull(this.#output(type.ofType) as GraphQLObjectType);
    if (isListType(type)) return new GraphQLList(this.#output(type.ofType));
    return isObjectType(type) ? this.#object(type) : type;
  }

  #resolver(parentType: GraphQLObjectType, field: Field): Resolver {
    const schema = this.#original;
    const { resolve = defaultFieldResolver, args, type: returnType } = field;
    const list = isListType(getNullableType(returnType));
    return (source, _arguments, run, compiledInfo) => {
      const { context, variables: variableValues, operation, fragments } = run;
      const { fieldName, fieldNodes, path, rootValue } = compiledInfo;
      const info: GraphQLResolveInfo = {
        fieldName,
        fieldNodes,
        returnType,
        parentType,
        path,
        schema,
        fragments,
        rootValue,
        operation,
        variableValues,
      };
      const given = args.length === 0 ? {} : argumentsOf(field, info, run);
      const result = resolve(source, given, context, info);
      if (isPromise(result)) return new Guarded(list ? result.then((items) => settled(items, run)) : result, run);
      return list ? settled(result, run) : result;
    };
  }
}

/** The field's arguments as graphql-js has them. It also locates the mistakes in them. */
function argumentsOf(field: Field, { fieldNodes }: GraphQLResolveInfo, run: Run): Record<string, unknown> {
  try {
    return getArgumentValues(field, fieldNodes[0] as FieldNode, run.variables);
  } catch (error) {
    run.fail();
    throw error;
  }
}

/** A promise whose continuation in compiled code may fail without ending the process. */
class Guarded {
  readonly #promise: PromiseLike<unknown>;
  readonly #run: Run;

  constructor(promise: PromiseLike<unknown>, run: Run) {
    this.#promise = promise;
    this.#run = run;
  }

  // biome-ignore lint/suspicious/noThenProperty: compiled code takes whatever has then for a promise
  then(onValue: (value: unknown) => void, onError: (error: unknown) => void): void {
    this.#promise.then(
      (value) => this.#continue(onValue, value),
      (error) => this.#continue(onError, error),
    );
  }

  #continue(continuation: (argument: unknown) => void, argument: unknown): void {
    try {
      continuation(argument);
    } catch {
      this.#run.fail();
    }
  }
}

/** A list whose promises are waited for, each failure in its place. */
function settled(items: unknown, run: Run): unknown {
  if (Array.isArray(items)) {
    if (!items.some(isPromise)) return items;
    return new Guarded(
      Promise.all(items.map((item) => (isPromise(item) ? item.then((value) => value, toError) : item))),
      run,
    );
  }
  if (typeof items === 'object' && items !== null && Symbol.asyncIterator in items) run.fail();
  return items;
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(`Unexpected error value: ${String(reason)}`);
}

export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
