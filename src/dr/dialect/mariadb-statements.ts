import { literalMysql, quoteMysql } from '../../sql/identifiers.ts';
import type { MysqlSession } from '../../sql/mysql-session.ts';

const CONTEXT = /^SET SESSION /;
const CLIENT_CHARSET = /character_set_client = '(\w+)'/;
/** What the session's own statements are written in, after those of an object. */
const OWN_CONTEXT = `SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone = '+00:00',
  character_set_client = 'utf8mb4', collation_connection = 'utf8mb4_general_ci'`;

/** Runs statements, those after a context in the character set that it names: the server keeps their text in it. */
export async function runStatements(
  session: MysqlSession,
  statements: readonly string[],
  database: string,
): Promise<void> {
  const [first = '', ...rest] = statements;
  if (!CONTEXT.test(first)) {
    for (const statement of statements) await session.run(statement);
    return;
  }
  const charset = CLIENT_CHARSET.exec(first)?.[1] ?? 'utf8mb4';
  const encoded: Buffer[] = [];
  for (const statement of rest) encoded.push(await encode(session, statement, charset));
  // A session writes the collation that the database had when it was chosen into what it creates; choosing it again changes nothing.
  await session.run('USE information_schema');
  await session.run(`USE ${quoteMysql(database)}`);
  try {
    await session.run(first);
    for (const statement of encoded) await session.runBytes(statement);
  } finally {
    await session.run(OWN_CONTEXT);
  }
}

/** The server converts what is not the same in its character set and in ours. */
async function encode(session: MysqlSession, text: string, charset: string): Promise<Buffer> {
  if (/^(utf8|utf8mb3|utf8mb4|binary)$/.test(charset) || /^[\t\n\r\x20-\x7e]*$/.test(text)) return Buffer.from(text);
  const [row] = await session.query(`SELECT HEX(CONVERT(${literalMysql(text)} USING ${charset})) AS bytes`);
  return Buffer.from(row?.bytes ?? '', 'hex');
}

const WHEN_EVENT_RUNS =
  /^(CREATE (?:[^'`]|'(?:[^'\\]|\\[\s\S]|'')*'|`(?:[^`]|``)*`)*? ON COMPLETION )(?:NOT )?PRESERVE (?:ENABLE|DISABLE(?: ON (?:SLAVE|REPLICA))?)(?= )/;

/** A statement that creates an event, for one that never runs and that the server keeps when its last moment has passed. */
export function withoutRuns(statement: string): string {
  return statement.replace(WHEN_EVENT_RUNS, '$1PRESERVE DISABLE');
}

/** A statement that creates what runs in the name of another, for what is to run in the name of whoever creates it. */
export function withoutDefiner(statement: string): string {
  return statement.replace(/^(CREATE (?:OR REPLACE )?(?:ALGORITHM=\w+ )?)DEFINER=\S+@\S+ /, '$1');
}
