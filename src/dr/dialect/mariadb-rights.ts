/** A right that is needed, and what else includes it. */
export interface Need {
  readonly right: string;
  /** Any one of these will do. */
  readonly anyOf: readonly { readonly right: string; readonly on: 'database' | 'everything' | 'routines' }[];
}

/** What a backup needs. */
export const BACKUP_NEEDS: readonly Need[] = [
  ...['SELECT', 'SHOW VIEW', 'TRIGGER', 'EVENT'].map((right): Need => ({ right, anyOf: [{ right, on: 'database' }] })),
  {
    right: 'EXECUTE',
    anyOf: [
      ...['EXECUTE', 'CREATE ROUTINE', 'ALTER ROUTINE', 'SHOW CREATE ROUTINE'].map((right) => ({
        right,
        on: 'database' as const,
      })),
      { right: 'SELECT', on: 'everything' },
      { right: 'SELECT', on: 'routines' },
      { right: 'SHOW_ROUTINE', on: 'everything' },
    ],
  },
];

/** What creating functions and triggers takes where the binary log does not trust everybody who may. */
export const TRUSTED_BY_LOG: Need = { right: 'SUPER', anyOf: [{ right: 'SUPER', on: 'everything' }] };

/** What a restore of these kinds of objects needs. */
export function restoreNeeds(kinds: ReadonlySet<string>): Need[] {
  const rights = ['SELECT', 'INSERT', 'CREATE', 'DROP', 'ALTER', 'INDEX'];
  if (kinds.has('VIEW')) rights.push('CREATE VIEW');
  if (['FUNCTION', 'PROCEDURE', 'LIBRARY'].some((kind) => kinds.has(kind))) rights.push('CREATE ROUTINE');
  if (kinds.has('FK CONSTRAINT')) rights.push('REFERENCES');
  return [...rights, 'TRIGGER', 'EVENT']
    .filter((right) => !/^(TRIGGER|EVENT)$/.test(right) || kinds.has(right))
    .map((right) => ({ right, anyOf: [{ right, on: 'database' }] }));
}

/**
 * Rights on a database that are missing in the lines of SHOW GRANTS. What a user has no right to is not shown to him, so it would be
 * left out without a word.
 */
export function missingRights(grants: readonly string[], database: string, needs: readonly Need[]): string[] {
  const covers = (scope: string, on: Need['anyOf'][number]['on']): boolean => {
    if (scope === '*.*') return true;
    if (on === 'everything') return false;
    if (on === 'routines') return scope === '`mysql`.*' || scope === '`mysql`.`proc`';
    return scope.endsWith('.*') && matches(scope.slice(0, -2), database);
  };
  const granted = grants.flatMap((line) => parseLine(line, 'GRANT'));
  // On MySQL a right on everything may be taken back for one database.
  const revoked = grants.flatMap((line) => parseLine(line, 'REVOKE')).filter(({ scope }) => covers(scope, 'database'));
  return needs
    .filter(
      ({ anyOf }) =>
        !anyOf.some(({ right, on }) =>
          granted.some(
            ({ rights, scope }) =>
              covers(scope, on) &&
              (rights.has(right) || rights.has('ALL PRIVILEGES')) &&
              !(scope === '*.*' && revoked.some((taken) => taken.rights.has(right))),
          ),
        ),
    )
    .map(({ right }) => right);
}

function parseLine(
  line: string,
  verb: 'GRANT' | 'REVOKE',
): { readonly rights: ReadonlySet<string>; readonly scope: string }[] {
  const match = /^(GRANT|REVOKE) (.+?) ON (\*\.\*|`(?:[^`]|``)+`\.(?:\*|`(?:[^`]|``)+`)) (?:TO|FROM) /.exec(line);
  if (match === null || match[1] !== verb) return [];
  return [{ rights: new Set((match[2] ?? '').split(/,\s*/)), scope: match[3] ?? '' }];
}

/** Whether a quoted database name of a grant, in which `_` and `%` stand for any characters, means this database. */
function matches(quoted: string, database: string): boolean {
  const pattern = quoted.slice(1, -1).replaceAll('``', '`');
  const source = pattern.replace(/\\([_%])|[_%]|[^_%\\]+|\\/g, (part, escaped?: string) => {
    if (escaped !== undefined) return escaped;
    if (part === '_') return '[\\s\\S]';
    return part === '%' ? '[\\s\\S]*' : part.replace(/[$()*+.?[\]^{|}]/g, '\\$&');
  });
  return new RegExp(`^${source}$`, 'i').test(database);
}
