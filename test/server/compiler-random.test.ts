import {
  defaultFieldResolver,
  type ExecutionResult,
  execute,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isListType,
  isObjectType,
  parse,
} from 'graphql';
import { expect, test } from 'vitest';
import { createApiContext } from '../../src/api/context.ts';
import { Documents } from '../../src/server/documents.ts';
import { DEFAULT_LIMITS } from '../../src/server/limits.ts';
import { testApi } from '../support/api.ts';
import { Choices } from '../support/choices.ts';

const SDL = `
enum Subject { ART SPORT }
type Address { street: String!  zip: String }
type School @entity { id: ID! @id  name: String!  founded: DateTime  address: Address  places: [Address!]!  teachers: [Teacher!]! @relation(field: "schoolId") }
type Teacher @entity {
  id: ID! @id
  name: String! @field(name: "full-name")
  email: EmailAddress
  subjects: [Subject!]!
  hours: Int
  schoolId: ID
  school: School @relation(field: "schoolId")
  mentorId: ID
  mentor: Teacher @relation(field: "mentorId")
  pupils: [Teacher!]! @relation(field: "mentorId")
}
extend type Teacher { picky: String!  mood: String }
`;
const QUERIES = 120;
const LIMITS = { ...DEFAULT_LIMITS, depth: 100, aliases: 1_000, rootFields: 100, directives: 1_000, tokens: 100_000 };

/** Documents some of which hold what their fields do not allow, or refer to what is not there. */
function api(random: Choices) {
  const made = testApi(SDL, {
    resolvers: {
      Teacher: {
        picky: ({ hours }: { hours: unknown }) => (hours === 3 ? null : 'fine'),
        mood: async ({ id }: { id: string }) => {
          if (id === 't4') throw new Error('bad mood');
          return 'good';
        },
      },
    },
  });
  const address = () => random.pick([{ street: 'S', zip: '1' }, { street: 'T' }, { zip: '2' }, 'none', null]);
  made.service.seed(
    made.entity('School'),
    [0, 1, 2].map((n) => ({
      ...{
        _id: `s${n}`,
        name: random.chance(0.9) ? `S${n}` : null,
        founded: random.pick([new Date(n), 'long ago', null]),
      },
      ...{ address: address(), places: random.pick([[], [address(), address()], null]) },
    })),
  );
  made.service.seed(
    made.entity('Teacher'),
    [0, 1, 2, 3, 4, 5, 6].map((n) => ({
      ...{
        _id: `t${n}`,
        'full-name': random.chance(0.95) ? `T${n}` : { first: 'T' },
        email: random.pick(['a@b.c', 7, null]),
      },
      ...{
        subjects: random.pick([['ART'], ['SPORT', 'ART'], ['MATHS'], [], ['ART', null]]),
        hours: random.pick([n, 1.5]),
      },
      ...{ schoolId: random.pick(['s0', 's1', 's2', 'gone', null]), mentorId: random.pick(['t0', 't1', 'gone', null]) },
    })),
  );
  return made;
}

/**
 * The same schema for graphql-js: items of lists are promises, because it forgets the promises of items before one that fails at
 * once, and what they reject with later would be nobody's.
 */
function interpretable({ schema }: ReturnType<typeof api>): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields())) {
      if (!isObjectType(getNamedType(field.type)) || !isListType(getNullableType(field.type))) continue;
      const { resolve = defaultFieldResolver } = field;
      field.resolve = async (...given) => {
        const items: unknown = await resolve(...given);
        return Array.isArray(items) ? items.map((item) => Promise.resolve(item)) : items;
      };
    }
  }
  return schema;
}

/** Random operations over a schema: aliases, fragments, conditions, arguments, the same field twice. */
class Writer {
  readonly #random: Choices;
  readonly #fragments: string[] = [];

  constructor(random: Choices) {
    this.#random = random;
  }

  operation(query: GraphQLObjectType): string {
    const body = this.#selections(query, 4);
    // Each variable is used at least once, as validation asks.
    const used = '__typename @include(if: $yes) none: teachers(limit: $n) @include(if: $no) { id }';
    return `query($yes: Boolean!, $no: Boolean = false, $n: Int = 2) { ${used} ... ${body} } ${this.#fragments.join(' ')}`;
  }

  #selections(type: GraphQLObjectType, depth: number): string {
    const fields = Object.values(type.getFields()).filter(
      (field) => depth > 0 || !isObjectType(getNamedType(field.type)),
    );
    const wanted = type.name === 'Query' ? fields.filter(({ name }) => !name.startsWith('sync')) : fields;
    const parts = Array.from({ length: 1 + this.#random.below(4) }, () =>
      wanted.length === 0 || this.#random.chance(0.1) ? '__typename' : this.#field(this.#random.pick(wanted), depth),
    );
    return `{ ${parts.map((part) => this.#wrapped(type, part)).join(' ')} }`;
  }

  #wrapped(type: GraphQLObjectType, part: string): string {
    const kind = this.#random.next();
    if (kind < 0.8) return part;
    if (kind < 0.9) return `... on ${type.name}${this.#condition()} { ${part} }`;
    const name = `F${this.#fragments.length}`;
    this.#fragments.push(`fragment ${name} on ${type.name} { ${part} }`);
    return `...${name}${this.#condition()}`;
  }

  #field({ name, args, type }: GraphQLField<unknown, unknown>, depth: number): string {
    const given = args.flatMap((arg) => {
      if (arg.name === 'id') return [`id: "${this.#random.pick(['t1', 't4', 's1', 'none'])}"`];
      if (arg.name === 'limit' || arg.name === 'first') return [`${arg.name}: ${this.#random.pick(['3', '7', '$n'])}`];
      return [];
    });
    const named = getNamedType(type);
    const body = isObjectType(named) ? this.#selections(named, depth - 1) : '';
    // Another name for each set of arguments and selections, or the same field could not be merged.
    const alias = given.length > 0 || body !== '' ? `a${this.#random.below(1e9)}: ` : '';
    return `${alias}${name}${given.length > 0 ? `(${given.join(', ')})` : ''}${this.#condition()} ${body}`;
  }

  #condition(): string {
    if (this.#random.chance(0.9)) return '';
    return this.#random.pick([' @include(if: $yes)', ' @skip(if: $yes)', ' @include(if: $no)', ' @skip(if: false)']);
  }
}

/**
 * The errors by the place they make null. Of several below one place the specification lets an executor report those it met
 * first, so there only the place counts.
 */
function errorsOf({ data, errors = [] }: ExecutionResult): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { message, path = [] } of errors) {
    let value: unknown = data;
    let depth = 0;
    while (value !== null && depth < path.length) value = (value as Record<string, unknown>)[path[depth++] as string];
    const place = JSON.stringify(path.slice(0, depth));
    found.set(place, [...(found.get(place) ?? []), JSON.stringify([message, path])]);
  }
  return found;
}

/** Where the only error is; undefined when there are several. */
function pathOf([first = '', ...others]: readonly string[]): string | undefined {
  return others.length === 0 ? JSON.stringify(JSON.parse(first)[1]) : undefined;
}

test.each([1, 2, 3])(
  'random queries are answered as graphql-js answers them, errors and all (seed %i)',
  async (seed) => {
    const random = new Choices(seed);
    const { schema, service, model } = api(random);
    const reference = interpretable(api(new Choices(seed)));
    const documents = new Documents(schema, { limits: LIMITS, production: false, compile: true });
    const variables = { yes: true };
    let compiled = 0;
    let failed = 0;
    for (let n = 0; n < QUERIES; n++) {
      const text = new Writer(random).operation(schema.getQueryType() as GraphQLObjectType);
      const { operations, errors } = documents.prepare(text);
      expect(errors, text).toEqual([]);
      const [operation] = operations;
      if (operation?.compiler === undefined) throw new Error('not prepared');
      const context = () => createApiContext(service, { principal: 'p', signal: new AbortController().signal }, model);
      let result: ExecutionResult | undefined;
      for (let use = 0; use < 4; use++) result = await operation.compiler.execute(operation, context(), variables);
      if (result === undefined) continue;
      compiled++;
      const document = parse(text);
      const expected = await execute({
        schema: reference,
        document,
        contextValue: context(),
        variableValues: variables,
      });
      expect(JSON.stringify(result.data), text).toBe(JSON.stringify(expected.data));
      const [own, theirs] = [errorsOf(result), errorsOf(expected)];
      expect([...own.keys()].sort(), text).toEqual([...theirs.keys()].sort());
      for (const [place, errors] of theirs) {
        const ours = own.get(place) ?? [];
        if (place === pathOf(errors) && place === pathOf(ours)) expect(ours, text).toEqual(errors);
      }
      if (expected.errors !== undefined) failed++;
    }
    expect(compiled).toBeGreaterThan(QUERIES * 0.9);
    expect(failed).toBeGreaterThan(QUERIES * 0.1);
  },
);
