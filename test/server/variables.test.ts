import fc from 'fast-check';
import {
  buildSchema,
  type ExecutionResult,
  execute,
  type GraphQLResolveInfo,
  type GraphQLScalarType,
  type GraphQLSchema,
  getVariableValues,
  type OperationDefinitionNode,
  parse,
} from 'graphql';
import { describe, expect, it } from 'vitest';
import { OperationVariables, VariableReaders } from '../../src/server/variables.ts';

const SDL = /* GraphQL */ `
  enum Level { JUNIOR SENIOR }
  scalar Odd
  scalar Any
  input Place { street: String!, zip: String = "0", floor: Int! = 3 }
  input Person {
    id: ID, name: String!, age: Int = 7, level: Level, levels: [Level!] = [JUNIOR], odd: Odd, odds: [[Odd]!], any: Any
    place: Place, places: [Place!], friend: Person
  }
  input Inherited { constructor: Boolean, toString: Float }
  input Key @oneOf { id: ID, odd: Odd, place: Place }
  type Query { hello: String }
  type Mutation { save(people: [Person!], any: Any, place: Place, n: Int): String, later: String }
`;

/** Odd numbers are read as texts, so that reading one twice shows; it has a value for each way a scalar can go wrong. */
function oddly(value: unknown): unknown {
  if (value === 13) return undefined;
  if (value === 15) return null;
  if (typeof value !== 'number' || value % 2 === 0) throw new Error(`${String(value)} is even`);
  return `odd ${value}`;
}

function made(): GraphQLSchema {
  const schema = buildSchema(SDL);
  const odd = schema.getType('Odd') as GraphQLScalarType;
  odd.parseValue = oddly;
  return schema;
}

function operationOf(text: string): OperationDefinitionNode {
  return parse(text).definitions[0] as OperationDefinitionNode;
}

const scalar = fc.constantFrom<unknown>('JUNIOR', 'x', '', 1, 3, 13, 15, 2, 1.5, -0, 2 ** 40, true, null, undefined);
/** Mostly values of the type. */
const values = fc.letrec((tie) => ({
  String: mostly('S'),
  Int: mostly(1),
  Float: mostly(1.5),
  Boolean: mostly(false),
  ID: mostly('id', 7),
  Level: mostly('JUNIOR', 'SENIOR'),
  Odd: mostly(1, 3),
  Any: fc.oneof({ maxDepth: 4 }, scalar, tie('Person'), fc.array(tie('Any'), { maxLength: 3 })),
  Place: fc.record({ street: mostly('S'), zip: mostly('1'), floor: mostly(2) }, { requiredKeys: ['street'] }),
  Key: fc.oneof(
    fc.record({ odd: tie('Odd') }),
    fc.record({ place: tie('Place'), id: tie('ID') }, { requiredKeys: [] }),
  ),
  Person: fc.record(
    {
      ...{ name: mostly('N'), id: tie('ID'), age: tie('Int'), level: tie('Level'), levels: listOf(tie('Level')) },
      ...{ odd: tie('Odd'), odds: listOf(listOf(tie('Odd'))), any: tie('Any'), place: tie('Place') },
      ...{ places: listOf(tie('Place')), friend: fc.option(tie('Person'), { maxDepth: 2 }) },
      ...{ unknown: fc.constant(undefined) },
    },
    { requiredKeys: ['name'] },
  ),
}));
const variable = fc
  .tuple(
    fc.constantFrom(...(Object.keys(values) as (keyof typeof values)[])),
    fc.constantFrom('', '!', '[]', '[!]', '[!]!', '[[]!]'),
  )
  .chain(([name, wrapper]) => {
    const lists = wrapper.split('[').length - 1;
    const type = `${'['.repeat(lists)}${name}${wrapper.slice(lists)}`;
    const value = Array.from({ length: lists }).reduce<fc.Arbitrary<unknown>>(listOf, values[name]);
    const fallback = fc.constantFrom('', type.endsWith('!') ? '' : ' = null');
    return fc.record({ type: fc.constant(type), value, fallback, given: fc.boolean() });
  });

function mostly(...usual: unknown[]): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 19, arbitrary: fc.constantFrom(...usual) }, { weight: 1, arbitrary: scalar });
}

function listOf(items: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 3, arbitrary: fc.array(items, { maxLength: 3 }) }, { weight: 1, arbitrary: items });
}

describe('OperationVariables', () => {
  const schema = made();
  const readers = new VariableReaders(schema);

  const bothWays = (text: string, given: Record<string, unknown>) => {
    const { variableDefinitions = [] } = operationOf(text);
    const { coerced } = getVariableValues(schema, variableDefinitions, given);
    return { own: new OperationVariables(readers, variableDefinitions).read(given), theirs: coerced };
  };

  it('reads what graphql-js reads, and nothing else', () => {
    let valid = 0;
    fc.assert(
      fc.property(fc.array(variable, { minLength: 1, maxLength: 2 }), (variables) => {
        const definitions = variables.map(
          ({ type, fallback }, n) => `$v${n}: ${type}${type.endsWith('!') ? '' : fallback}`,
        );
        const given: Record<string, unknown> = {};
        for (const [n, { value, given: isGiven }] of variables.entries())
          if (isGiven || n === 0) given[`v${n}`] = value;
        const { own, theirs } = bothWays(`query (${definitions.join(', ')}) { hello }`, given);
        // A scalar that reads a value as null is left to graphql-js.
        if (own === undefined && JSON.stringify(given).includes('15')) return;
        expect(own).toStrictEqual(theirs);
        expect(JSON.stringify(own)).toBe(JSON.stringify(theirs));
        if (own !== undefined) valid++;
      }),
      { numRuns: 5_000, seed: 7 },
    );
    expect(valid).toBeGreaterThan(1_000);
  });

  it.each<[string, string, Record<string, unknown>]>([
    ['defaults of variables', '$p: Place = { street: "S" }, $l: [Level!] = JUNIOR, $o: Odd, $n: Int = null', {}],
    ['null for a variable with a default', '$n: Int = 3', { n: null }],
    ['a list of one', '$p: [[Place!]]', { p: { street: 'S' } }],
    ['fields out of order', '$p: Person', { p: { place: { floor: 1, street: 'S' }, name: 'N' } }],
    ['a field that is undefined', '$p: Place', { p: { street: 'S', zip: undefined } }],
    ['objects without prototype', '$p: Place', { p: Object.assign(Object.create(null), { street: 'S' }) }],
    ['more variables than there are', '$n: Int', { n: 1, m: 2 }],
    ['numbers and texts for ids', '$i: [ID]', { i: [1, '1'] }],
    ['fields that every object has', '$i: Inherited', { i: { constructor: true, toString: 1 } }],
    ['the one field of a oneOf', '$k: Key', { k: { odd: 3 } }],
  ])('reads %s', (_name, definitions, given) => {
    const { own, theirs } = bothWays(`query (${definitions}) { hello }`, given);
    expect(theirs).toBeDefined();
    expect(own).toStrictEqual(theirs);
    expect(JSON.stringify(own)).toBe(JSON.stringify(theirs));
  });

  it.each<[string, string, Record<string, unknown>]>([
    ['a missing variable', '$n: Int!', {}],
    ['null', '$n: Int!', { n: null }],
    ['null in a list', '$n: [Int!]', { n: [1, null] }],
    ['a list for an object', '$p: Place', { p: [{ street: 'S' }] }],
    ['a missing field', '$p: Place', { p: {} }],
    ['null for a field that has a default', '$p: Place', { p: { street: 'S', floor: null } }],
    ['an unknown field', '$p: Place', { p: { street: 'S', stret: 'S' } }],
    ['a field named __proto__', '$p: Place', { p: JSON.parse('{ "street": "S", "__proto__": {} }') }],
    ['a value outside the enum', '$l: Level', { l: 'NONE' }],
    ['a scalar that throws', '$o: Odd', { o: 2 }],
    ['a scalar that reads nothing', '$o: Odd', { o: 13 }],
    ['fields that every object has, left out', '$i: Inherited', { i: {} }],
    ['two fields of a oneOf', '$k: Key', { k: { odd: 3, id: 1 } }],
    ['null in a oneOf', '$k: Key', { k: { odd: null } }],
  ])('leaves %s to graphql-js', (_name, definitions, given) => {
    const { own, theirs } = bothWays(`query (${definitions}) { hello }`, given);
    expect(theirs).toBeUndefined();
    expect(own).toBeUndefined();
  });

  it('leaves to graphql-js what only that can read', () => {
    const proto = bothWays('query ($__proto__: Int) { hello }', JSON.parse('{ "__proto__": 1 }'));
    expect(Object.keys(proto.theirs ?? {})).toEqual(['__proto__']);
    expect(proto.own).toBeUndefined();
    const iterable = bothWays('query ($n: [Int]) { hello }', { n: new Set([1]) });
    expect(iterable.theirs).toEqual({ n: [1] });
    expect(iterable.own).toBeUndefined();
  });

  it('leaves nesting without end to graphql-js', () => {
    const person: Record<string, unknown> = { name: 'N' };
    person.friend = person;
    expect(bothWays('query ($p: Person) { hello }', { p: person }).own).toBeUndefined();
  });
});

describe('executing with variables read before', () => {
  const TEXT = `mutation Named($people: [Person!], $odd: Odd, $place: Place = { street: "S" }, $yes: Boolean = false, $n: Int) {
    first: save(people: $people, any: $odd, place: $place, n: $n)
    second: save(people: [{ name: "B", odd: $odd, odds: [[$odd]] }], n: $n)
    later @include(if: $yes)
  }`;

  async function executed(given: Record<string, unknown>, own: boolean) {
    const schema = made();
    const seen: unknown[] = [];
    const infos: GraphQLResolveInfo[] = [];
    const resolve = (_source: unknown, args: unknown, _context: unknown, info: GraphQLResolveInfo) => {
      seen.push([info.fieldName, info.path.key, args, info.variableValues, info.operation.name?.value]);
      infos.push(info);
      seen.push(['Person', 'Odd', 'AsItIs'].map((name) => info.schema.getType(name) === schema.getType(name)));
      return 'saved';
    };
    for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) field.resolve = resolve;
    const document = parse(TEXT);
    const [operation] = document.definitions as OperationDefinitionNode[];
    const variables = new OperationVariables(new VariableReaders(schema), operation?.variableDefinitions);
    const args = { schema, document, variableValues: given, options: { maxCoercionErrors: 2 }, hideSuggestions: true };
    const result: ExecutionResult = await (own ? variables.execute(args) : execute(args));
    for (const info of infos) expect(info.operation).toBe(operation);
    const errors = result.errors?.map((error) => error.toJSON());
    return { data: JSON.stringify(result.data), errors, seen };
  }

  it.each<[string, Record<string, unknown>, string[]]>([
    [
      'all of them',
      { people: [{ name: 'A', odd: 1, places: { street: 'T' } }], odd: 5, place: null, yes: true, n: 4 },
      ['save', 'save', 'later'],
    ],
    ['some of them', { odd: 3 }, ['save', 'save']],
    ['none of them', {}, ['save', 'save']],
    ['a scalar read as null', { odd: 15 }, ['save', 'save']],
  ])('calls resolvers with what graphql-js would call them with: %s', async (_name, given, fields) => {
    const own = await executed(given, true);
    expect(own).toStrictEqual(await executed(given, false));
    expect(own.errors).toBeUndefined();
    expect(own.seen).toHaveLength(2 * fields.length);
    expect(own.seen.filter((_, n) => n % 2 === 1)).toEqual(fields.map(() => [true, true, true]));
  });

  it.each<[string, Record<string, unknown>]>([
    ['a wrong value', { n: 'x' }],
    ['more mistakes than are told', { people: [{ nam: 1 }, { odd: 2 }, {}] }],
    ['a field nearly named right', { people: [{ name: 'A', ag: 1 }] }],
  ])('refuses %s in the words of graphql-js', async (_name, given) => {
    const own = await executed(given, true);
    expect(own).toStrictEqual(await executed(given, false));
    expect(own.errors?.length).toBeGreaterThan(0);
    expect(own.seen).toEqual([]);
  });

  it('knows the types again after an execution that never began', () => {
    const schema = made();
    const readers = new VariableReaders(schema);
    const [operation] = parse(TEXT).definitions as OperationDefinitionNode[];
    const variables = new OperationVariables(readers, operation?.variableDefinitions);
    const result = variables.execute({ schema, document: parse(TEXT), operationName: 'Other', variableValues: {} });
    expect(result).toMatchObject({ errors: [{ message: 'Unknown operation named "Other".' }] });
    const later = new OperationVariables(readers, operationOf('query ($n: Int) { hello }').variableDefinitions);
    expect(later.read({ n: 'x' })).toBeUndefined();
  });
});
