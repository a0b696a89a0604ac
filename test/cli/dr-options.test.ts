import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/cli/command.ts';
import { compressionOf, listOf, oneOf, required, sourceOf, suffixesOf, workersOf } from '../../src/cli/dr-options.ts';
import { bytesText, durationText } from '../../src/cli/dr-run.ts';
import { resolveConfig } from '../../src/config.ts';

describe('the options of holdfast dr', () => {
  it('name a database by URL or by its configured name, with its suffixes', () => {
    const suffixes = { users: 'WHERE t.id = 1' };
    const config = resolveConfig({ dr: { sources: { shop: { url: 'postgres://db/shop', suffixes } } } }, {});
    expect(sourceOf(config, 'shop')).toEqual({ source: 'postgres://db/shop', suffixes });
    expect(sourceOf(config, 'postgres://db/x')).toEqual({ source: 'postgres://db/x', suffixes: {} });
    expect(() => sourceOf(config, 'shpo')).toThrow('did you mean shop?');
    expect(() => sourceOf(config, 'constructor')).toThrow(UsageError);
  });

  it('take suffixes whose SQL has equals signs', () => {
    expect(suffixesOf({ suffix: ['users=WHERE t.id = 1', 'a.b = JOIN x ON x.a = t.a'] })).toEqual({
      users: 'WHERE t.id = 1',
      'a.b': 'JOIN x ON x.a = t.a',
    });
    for (const wrong of ['users', '=WHERE', 'users='])
      expect(() => suffixesOf({ suffix: [wrong] })).toThrow(UsageError);
    expect(() => suffixesOf({ suffix: ['a=WHERE 1=1', 'a=WHERE 2=2'] })).toThrow('twice');
  });

  it.each([
    ['none', 'none'],
    ['zstd', { zstd: 1 }],
    ['zstd:19', { zstd: 19 }],
  ])('compress %s', (given, expected) => {
    expect(compressionOf({ compress: given })).toEqual(expected);
  });

  it.each(['gzip', 'zstd:', 'zstd:0', 'zstd:20', 'zstd:-1', ''])('do not compress %j', (given) => {
    expect(() => compressionOf({ compress: given })).toThrow(UsageError);
  });

  it('list names, and say what is missing or unknown', () => {
    expect(listOf({ tables: 'a, b.c ,' }, 'tables')).toEqual(['a', 'b.c']);
    expect(listOf({}, 'tables')).toBeUndefined();
    expect(() => listOf({ tables: ' , ' }, 'tables')).toThrow(UsageError);
    expect(() => required({}, 'keyFile', 'x')).toThrow('--key-file is missing: x');
    expect(() => oneOf({ mode: 'fast' }, 'mode', ['full', 'data'])).toThrow('--mode fast is none of full, data');
  });

  it('have as many workers as configured, else as there are processors', () => {
    expect(workersOf(resolveConfig({ dr: { workers: 3 } }, {}))).toBe(3);
    expect(workersOf(resolveConfig({}, {}))).toBeGreaterThanOrEqual(1);
  });
});

describe('a configured source', () => {
  it('has a url or options, and no unknown key', () => {
    expect(() => resolveConfig({ dr: { sources: { a: {} } } }, {})).toThrow('url or sequelize');
    expect(() => resolveConfig({ dr: { sources: { 'a/b': { url: 'x' } } } }, {})).toThrow('letters, digits');
  });

  it('never shows its password when it is refused', () => {
    const sequelize = { password: 'hunter2', uri: 'postgres://u:hunter2@h/d' };
    const refused = () => resolveConfig({ dr: { sources: { a: { url: 'postgres://u:hunter2@h/d', sequelize } } } }, {});
    expect(refused).toThrow('dr.sources');
    expect(refused).not.toThrow('hunter2');
  });
});

it.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_234, '1.2 kB'],
  [123_456_789, '123 MB'],
  [5e15, '5000 TB'],
])('%d bytes read %s', (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
});

it.each([
  [420, '0.4 s'],
  [12_300, '12 s'],
  [200_000, '3 min 20 s'],
  [7_500_000, '2 h 5 min'],
])('%d ms read %s', (ms, text) => {
  expect(durationText(ms)).toBe(text);
});
