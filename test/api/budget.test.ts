import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isInputObjectType, isObjectType } from 'graphql';
import { describe, expect, test } from 'vitest';
import { buildSchema } from '../../src/api/schema.ts';
import { loadModel } from '../../src/model/load.ts';
import { manyEntities } from '../support/many-entities.ts';

const collectGarbage = (() => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
})();

function schemaOf(count: number) {
  return buildSchema(loadModel([{ file: 'x.graphql', text: manyEntities(count) }]));
}

function typesOf(count: number) {
  return Object.values(schemaOf(count).getTypeMap()).filter((type) => !type.name.startsWith('__'));
}

describe('the size of a schema', () => {
  test('grows by 14 types with an entity, whatever its fields', () => {
    expect(typesOf(40).length - typesOf(20).length).toBe(20 * 14);
  });

  test('has one filter, order and input type for each scalar, enum and nested type', () => {
    const shared = typesOf(20)
      .map((type) => type.name)
      .filter((name) => !/^(Thing|Create)/.test(name) && /(Filter|Order|Input|Where)$/.test(name));
    expect(shared.sort()).toEqual([
      'AddressInput',
      'AddressListFilter',
      'AddressOrder',
      'AddressWhere',
      'DateFilter',
      'DateTimeFilter',
      'DecimalFilter',
      'EmailAddressFilter',
      'IDFilter',
      'IntFilter',
      'KindFilter',
      'StringFilter',
      'StringListFilter',
    ]);
  });

  test('has one wrapper object for each list and non-null type', () => {
    const wrappers = new Map<string, Set<unknown>>();
    for (const type of typesOf(20)) {
      if (!isObjectType(type) && !isInputObjectType(type)) continue;
      for (const field of Object.values(type.getFields())) {
        const known = wrappers.get(String(field.type)) ?? new Set();
        wrappers.set(String(field.type), known.add(field.type));
      }
    }
    expect([...wrappers].filter(([, objects]) => objects.size > 1).map(([name]) => name)).toEqual([]);
  });

  test('holds less than 60 KiB an entity, its model included', () => {
    const used = () => {
      collectGarbage();
      return process.memoryUsage().heapUsed;
    };
    schemaOf(10);
    const before = used();
    const schema = schemaOf(500);
    const each = (used() - before) / 500;
    expect(schema.getQueryType()?.getFields()).toHaveProperty('thing499');
    expect(each / 1024).toBeLessThan(60);
  });
});
