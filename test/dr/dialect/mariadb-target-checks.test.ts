import { describe, expect, it } from 'vitest';
import type { Manifest } from '../../../src/dr/archive/manifest.ts';
import { assertMariadbVersion } from '../../../src/dr/dialect/mariadb-target-checks.ts';
import { object } from '../../support/manifest-parts.ts';

const OBJECTS = [
  ['plain', "CREATE TABLE `plain` (\n  `v` int COMMENT ') WITH SYSTEM VERSIONING'\n) ENGINE=InnoDB"],
  ['past', 'CREATE TABLE `past` (\n  `v` int\n) ENGINE=InnoDB DEFAULT CHARSET=latin1 WITH SYSTEM VERSIONING'],
].map(([name = '', statement = '']) => object(name, 'TABLE', { statements: [statement] }));

function check(source: string, version: number, tables: readonly string[], dialect: 'mariadb' | 'mysql' = 'mariadb') {
  const objects = OBJECTS.filter(({ name }) => tables.includes(name));
  const manifest = { dialect, server: { version: source }, objects } as unknown as Manifest;
  return () => assertMariadbVersion({ dialect: 'mariadb', version, versionText: `${version}` }, manifest);
}

describe('versions of servers', () => {
  it.each([
    ['10.11.6-MariaDB', 101_106],
    ['5.5.5-10.11.6-MariaDB-log', 110_800],
    ['11.4.2-MariaDB', 110_402],
  ])('from %s to %i', (source, version) => {
    expect(check(source, version, ['plain'])).not.toThrow();
  });

  it('not to an older server, nor to another kind', () => {
    expect(check('10.11.6-MariaDB', 100_600, [])).toThrow(/at least as new/);
    expect(check('10.11.6', 101_106, [], 'mysql')).toThrow(/the same kind/);
  });

  it.each([
    ['10.11.6-MariaDB', 110_402, false],
    ['10.11.6-MariaDB', 110_501, true],
    ['11.4.9-MariaDB', 120_002, true],
    ['11.5.2-MariaDB', 110_502, false],
    ['11.8.1-MariaDB', 120_002, false],
  ])('with row history from %s to %i', (source, version, isRefused) => {
    const result = check(source, version, ['plain', 'past']);
    if (!isRefused) return expect(result).not.toThrow();
    const message = expect.stringMatching(/ of past would be history .* 11\.5/);
    expect(result).toThrow(
      expect.objectContaining({ code: 'DR_INCOMPATIBLE', message, details: { tables: ['past'] } }),
    );
  });
});
