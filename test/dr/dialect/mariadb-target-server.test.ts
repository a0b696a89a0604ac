import { describe, expect, it } from 'vitest';
import { assertServerTakes, type CreatedObject } from '../../../src/dr/dialect/mariadb-target-server.ts';

const MYSQL = { dialect: 'mysql', version: 80_022, versionText: '8.0.22' } as const;
const table = (columns: string): CreatedObject => {
  return { kind: 'TABLE', name: 't', statements: [`CREATE TABLE \`t\` (\n  ${columns}\n) ENGINE=InnoDB`] };
};
const routine = (text: string): CreatedObject => {
  return { kind: 'FUNCTION', name: 'f', statements: ["SET SESSION sql_mode = ''", `CREATE FUNCTION ${text}`] };
};
const LOGGED = { log_bin: 'ON', log_bin_trust_function_creators: 'OFF' };

describe('what a server takes of a backup', () => {
  it.each([
    ['a column that it would make visible', table('`a` int /*!80023 INVISIBLE */'), MYSQL, true],
    ['the same on a newer one', table('`a` int /*!80023 INVISIBLE */'), { ...MYSQL, version: 80_023 }, false],
    ['words of the ninth', table('`a` int /*!090400 NEW */'), { ...MYSQL, version: 90_300 }, true],
    ['words in a comment of a column', table("`a` int COMMENT 'it''s /*!80023 INVISIBLE */'"), MYSQL, false],
  ] as const)('%s', (_, object, flavour, isRefused) => {
    const check = (): void => assertServerTakes([object], flavour, {}, true);
    if (isRefused) expect(check).toThrow(/Table t needs a newer server/);
    else expect(check).not.toThrow();
  });

  it.each(['sql_require_primary_key', 'sql_generate_invisible_primary_key'])(
    'no table without a key with %s',
    (name) => {
      const takes = (object: CreatedObject, value: string) => () =>
        assertServerTakes([object], MYSQL, { [name]: value }, true);
      expect(takes(table('`a` int'), 'ON')).toThrow(new RegExp(`Table t has no primary key.*${name}`));
      expect(takes(table('`a` int'), 'OFF')).not.toThrow();
      expect(takes(table('`a` int,\n  PRIMARY KEY (`a`)'), 'ON')).not.toThrow();
    },
  );

  it('functions and triggers where there is a binary log, of those whom it trusts', () => {
    const unsafe = routine('`f`() RETURNS int RETURN RAND()');
    const safe = routine('`f`() RETURNS int\n    DETERMINISTIC\nRETURN 1');
    const takes =
      (object: CreatedObject, isTrusted: boolean, settings = LOGGED) =>
      () =>
        assertServerTakes([object], MYSQL, settings, isTrusted);
    expect(takes(safe, false)).toThrow(
      /Function f cannot be created.*log_bin_trust_function_creators = 1, or grant SUPER/,
    );
    expect(takes({ kind: 'TRIGGER', name: 'r', statements: [] }, false)).toThrow(/Trigger r/);
    expect(takes(unsafe, true)).toThrow(/Function f.*log_bin_trust_function_creators = 1\./);
    expect(takes(safe, true)).not.toThrow();
    const ofAnotherCollation = [...safe.statements, 'ALTER DATABASE COLLATE latin1_bin'];
    expect(takes({ ...safe, statements: ofAnotherCollation }, true)).not.toThrow();
    expect(takes(unsafe, false, { ...LOGGED, log_bin_trust_function_creators: 'ON' })).not.toThrow();
    expect(takes(unsafe, false, { ...LOGGED, log_bin: 'OFF' })).not.toThrow();
    expect(takes({ kind: 'PROCEDURE', name: 'p', statements: [] }, false)).not.toThrow();
  });
});
