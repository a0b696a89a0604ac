import { expect, it } from 'vitest';
import type { ManifestTable } from '../../../src/dr/archive/manifest.ts';
import { sampledTogether } from '../../../src/dr/dialect/postgres-target-samples.ts';
import { table } from '../../support/manifest-parts.ts';

function groups(tables: readonly ManifestTable[]): string[] {
  return sampledTogether(tables).map(({ tables: some }) => some.map(({ name }) => name).join(' '));
}

it('samples small tables together, and a large one by itself', () => {
  const tables = [table(1, 'a', [3]), table(2, 'b', [4]), table(3, 'c', [900]), table(4, 'd', [6]), table(5, 'e', [3])];
  expect(groups(tables)).toEqual(['a b', 'c', 'd', 'e']);
});

it('leaves out tables without rows', () => {
  expect(groups([table(1, 'a', [])])).toEqual([]);
});

it('counts no more bytes of a table than the server looks at', () => {
  expect(sampledTogether([table(1, 'a', [900])])).toMatchObject([{ bytes: 8 << 20 }]);
});

it('locks a limited number of tables at once', () => {
  const tables = Array.from({ length: 450 }, (_, index) => table(index, `t${index}`, [0]));
  expect(sampledTogether(tables).map(({ tables: some }) => some.length)).toEqual([200, 200, 50]);
});
