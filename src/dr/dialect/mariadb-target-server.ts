import { HoldfastError } from '../../errors.ts';
import type { MysqlSession } from '../../sql/mysql-session.ts';
import type { SchemaObject } from '../archive/manifest.ts';
import type { Flavour } from './mariadb-flavour.ts';

/** What of an object tells whether a server takes it. */
export type CreatedObject = Pick<SchemaObject, 'kind' | 'name' | 'statements'>;

/** Settings of a session, ON or OFF; those that its server does not have are missing. */
export type ServerSettings = Readonly<Record<string, string>>;

const ASKED = [
  'sql_require_primary_key',
  'sql_generate_invisible_primary_key',
  'log_bin',
  'log_bin_trust_function_creators',
];

export async function readServerSettings(session: MysqlSession): Promise<ServerSettings> {
  const rows = await session.query(
    `SHOW VARIABLES WHERE Variable_name IN (${ASKED.map((name) => `'${name}'`).join(', ')})`,
  );
  return Object.fromEntries(rows.map(({ Variable_name, Value }) => [Variable_name ?? '', Value ?? '']));
}

/**
 * Looks for what the server would create otherwise than it was, or not at all, before anything is written.
 * @param isTrusted whether the user may create functions and triggers that go into the binary log
 * @throws DR_INCOMPATIBLE, DR_PRIVILEGE_MISSING
 */
export function assertServerTakes(
  objects: readonly CreatedObject[],
  { version, versionText, dialect }: Pick<Flavour, 'version' | 'versionText' | 'dialect'>,
  settings: ServerSettings,
  isTrusted: boolean,
): void {
  const newer = objects.find((object) => newestComment(object) > version);
  if (dialect === 'mysql' && newer !== undefined) {
    // The server would leave out what stands in such a comment without a word.
    throw new HoldfastError(
      'DR_INCOMPATIBLE',
      `${nameOf(newer)} needs a newer server than ${versionText}: restore into the version that the backup is of.`,
      { details: { object: newer.name } },
    );
  }
  const keyless = objects.find(
    ({ kind, statements }) => kind === 'TABLE' && !/^\s*PRIMARY KEY /m.test(statements[0] ?? ''),
  );
  const inTheWay = ['sql_require_primary_key', 'sql_generate_invisible_primary_key'].find(
    (name) => settings[name] === 'ON',
  );
  if (keyless !== undefined && inTheWay !== undefined) {
    throw new HoldfastError(
      'DR_PRIVILEGE_MISSING',
      `${nameOf(keyless)} has no primary key, and the server has ${inTheWay} on: grant SESSION_VARIABLES_ADMIN, or switch it off.`,
      { details: { rights: ['SESSION_VARIABLES_ADMIN'] } },
    );
  }
  if (settings.log_bin !== 'ON' || settings.log_bin_trust_function_creators !== 'OFF') return;
  const untrusted = objects.find((object) => (isTrusted ? isUnsafe(object) : /^(FUNCTION|TRIGGER)$/.test(object.kind)));
  if (untrusted === undefined) return;
  throw new HoldfastError(
    'DR_PRIVILEGE_MISSING',
    `${nameOf(untrusted)} cannot be created while the server writes a binary log: SET GLOBAL log_bin_trust_function_creators = 1${isTrusted ? '' : ', or grant SUPER'}.`,
    { details: { rights: isTrusted ? [] : ['SUPER'] } },
  );
}

/** The server has nobody create a function which does not say that it leaves data alone or always gives the same. */
function isUnsafe({ kind, statements }: CreatedObject): boolean {
  return kind === 'FUNCTION' && !statements.some((text) => /\b(DETERMINISTIC|NO SQL|READS SQL DATA)\b/.test(text));
}

/** Newest version for which the server that printed an object wrote something; 0 for none. */
function newestComment({ kind, statements }: CreatedObject): number {
  if (kind !== 'TABLE') return 0;
  const found = (statements[0] ?? '')
    .replace(/'(?:[^'\\]|\\[\s\S]|'')*'|`(?:[^`]|``)*`/g, '')
    .matchAll(/\/\*!0?(\d{5,6}) /g);
  return Math.max(0, ...[...found].map(([, version]) => Number(version)));
}

function nameOf({ kind, name }: CreatedObject): string {
  return `${kind.charAt(0)}${kind.slice(1).toLowerCase()} ${name}`;
}
