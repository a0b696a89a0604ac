import { describe, expect, it } from 'vitest';
import { BACKUP_NEEDS, missingRights, restoreNeeds } from '../../../src/dr/dialect/mariadb-rights.ts';

const ALL = ['SELECT', 'SHOW VIEW', 'TRIGGER', 'EVENT', 'EXECUTE'];

describe('rights that are missing', () => {
  it.each<[string, readonly string[], readonly string[]]>([
    ['nobody', ['GRANT USAGE ON *.* TO `u`@`%`'], ALL],
    ['one with all rights', ['GRANT ALL PRIVILEGES ON *.* TO `u`@`%` WITH GRANT OPTION'], []],
    ['one with all rights on the database', ['GRANT ALL PRIVILEGES ON `a_b`.* TO `u`@`%`'], []],
    ['one with rights on a pattern', ['GRANT ALL PRIVILEGES ON `a\\_%`.* TO `u`@`%`'], []],
    ['one with rights on another database', ['GRANT ALL PRIVILEGES ON `a\\_c`.* TO `u`@`%`'], ALL],
    ['one with rights on a table', ['GRANT SELECT, TRIGGER ON `a_b`.`t` TO `u`@`%`'], ALL],
    ['a reader of everything', ['GRANT SELECT, SHOW VIEW ON *.* TO `u`@`%`'], ['TRIGGER', 'EVENT']],
    [
      'a role and the tables of routines',
      ['GRANT `r` TO `u`@`%`', 'GRANT SELECT ON `mysql`.`proc` TO `r`', 'GRANT SELECT, EVENT ON `a_b`.* TO `r`'],
      ['SHOW VIEW', 'TRIGGER'],
    ],
    [
      'one from whom some are taken back for the database',
      [
        'GRANT SELECT, EXECUTE, SHOW VIEW, EVENT, TRIGGER ON *.* TO `u`@`%`',
        'REVOKE TRIGGER ON `a_b`.* FROM `u`@`%`',
        'REVOKE EVENT ON `other`.* FROM `u`@`%`',
      ],
      ['TRIGGER'],
    ],
  ])('to %s', (_, grants, missing) => {
    expect(missingRights(grants, 'a_b', BACKUP_NEEDS)).toEqual(missing);
  });

  it('are only those that the objects need', () => {
    const grants = ['GRANT SELECT, INSERT, CREATE, DROP, ALTER, INDEX ON `a_b`.* TO `u`@`%`'];
    expect(missingRights(grants, 'a_b', restoreNeeds(new Set(['TABLE'])))).toEqual([]);
    const kinds = new Set(['VIEW', 'FUNCTION', 'FK CONSTRAINT', 'TRIGGER', 'EVENT']);
    const missing = ['CREATE VIEW', 'CREATE ROUTINE', 'REFERENCES', 'TRIGGER', 'EVENT'];
    expect(missingRights(grants, 'a_b', restoreNeeds(kinds))).toEqual(missing);
  });
});
