import {
  type ExecutionArgs,
  execute,
  type GraphQLInputType,
  GraphQLScalarType,
  type GraphQLSchema,
  isInputType,
  isNonNullType,
  typeFromAST,
  type VariableDefinitionNode,
  valueFromAST,
} from 'graphql';
import { InputReader } from './input-reader.ts';

export type Variables = Readonly<Record<string, unknown>>;

/** Reads one variable into `read`; false when graphql-js has to say what is wrong with it. */
type ReadVariable = (given: Variables, read: Record<string, unknown>) => boolean;

/** Stands for the type of a variable that was read already. */
const AS_IT_IS = new GraphQLScalarType({ name: 'AsItIs' });

/**
 * Reads the variables of operations by readers that are made for their types once. graphql-js looks at each type again for each
 * value, which in a bulk mutation costs ten times as much.
 */
export class VariableReaders {
  readonly #schema: GraphQLSchema;
  readonly #inputs = new InputReader();
  /** Says that the next `#unread` types asked for are {@link AS_IT_IS}; else the schema as it is. */
  readonly #trusting: GraphQLSchema;
  #unread = 0;

  constructor(schema: GraphQLSchema) {
    this.#schema = schema;
    const getType = (name: string) => (this.#unread-- > 0 ? AS_IT_IS : schema.getType(name));
    this.#trusting = Object.create(schema, { getType: { value: getType } });
  }

  /** One for each variable; undefined when there is one that only graphql-js can read. */
  of(definitions: readonly VariableDefinitionNode[]): ReadVariable[] | undefined {
    const readers: ReadVariable[] = [];
    for (const definition of definitions) {
      const type = typeFromAST(this.#schema, definition.type);
      // A property of that name would be the prototype.
      if (!isInputType(type) || definition.variable.name.value === '__proto__') return undefined;
      readers.push(this.#reader(definition, type));
    }
    return readers;
  }

  /**
   * `execute` with `count` variables that were read before, which graphql-js would read again: before it calls any resolver, it asks
   * the schema for the type of each once.
   */
  execute(args: ExecutionArgs, count: number): ReturnType<typeof execute> {
    this.#unread = count;
    try {
      return execute({ ...args, schema: this.#trusting });
    } finally {
      this.#unread = 0;
    }
  }

  #reader({ variable, defaultValue }: VariableDefinitionNode, type: GraphQLInputType): ReadVariable {
    const name = variable.name.value;
    const readValue = this.#inputs.of(type);
    return (given, read) => {
      if (Object.hasOwn(given, name)) {
        const value = readValue(given[name]);
        if (value === undefined) return false;
        read[name] = value;
      } else if (defaultValue !== undefined) {
        const value = valueFromAST(defaultValue, type);
        if (value === undefined) return false;
        read[name] = value;
      } else if (isNonNullType(type)) {
        return false;
      }
      return true;
    };
  }
}

/** The variables of one operation. */
export class OperationVariables {
  readonly #readers: VariableReaders;
  readonly #definitions: readonly VariableDefinitionNode[];
  #variables: readonly ReadVariable[] | undefined;

  constructor(readers: VariableReaders, definitions: readonly VariableDefinitionNode[] = []) {
    this.#readers = readers;
    this.#definitions = definitions;
  }

  /** What resolvers get for them, as graphql-js reads it; undefined when they are wrong: graphql-js words the refusal. */
  read(given: Variables = {}): Record<string, unknown> | undefined {
    if (this.#definitions.length === 0) return {};
    this.#variables ??= this.#readers.of(this.#definitions) ?? [() => false];
    const read: Record<string, unknown> = {};
    try {
      for (const variable of this.#variables) if (!variable(given, read)) return undefined;
    } catch {
      return undefined;
    }
    return read;
  }

  /** `execute` of graphql-js, but that the variables are read here where they can be. */
  execute(args: ExecutionArgs): ReturnType<typeof execute> {
    if (this.#definitions.length === 0) return execute(args);
    const read = this.read(args.variableValues ?? {});
    if (read === undefined) return execute(args);
    return this.#readers.execute({ ...args, variableValues: read }, this.#definitions.length);
  }
}
