import { HoldfastError } from '../../errors.ts';
import { quoteMysql } from '../../sql/identifiers.ts';
import { type MysqlSession, mysqlErrorName } from '../../sql/mysql-session.ts';
import type { SequenceValue } from '../archive/manifest.ts';

/** Sequences read in one statement. */
const TOGETHER = 100;
/** What a sequence of whole numbers gives next that gave the lowest of them; the server's grammar has no word for it. */
const BELOW_LOWEST = -(2n ** 63n);

/**
 * Makes sure that each sequence of the session's database has its row. MariaDB does not wait for the disk when it creates one: killed within
 * a second, it comes back with a sequence that has none. Whoever then asks for its size or its definition gets an error at most, and the
 * session's next statement ends the server (10.11: `trx_locks`). Reading its row is harmless.
 * @throws DR_INCOMPATIBLE with its name
 */
export async function assertSequencesHold(session: MysqlSession): Promise<void> {
  // No other column of this view: those that count rows do the harm.
  const rows = await session.query(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'SEQUENCE'`,
  );
  const names = rows.map(({ name }) => name ?? '');
  for (let from = 0; from < names.length; from += TOGETHER) {
    const some = names.slice(from, from + TOGETHER);
    if (await haveRows(session, some)) continue;
    for (const name of some) if (!(await haveRows(session, [name]))) throw rowLost(name);
  }
}

/** What the sequence will give next, and how often it began again. */
export async function readSequence(session: MysqlSession, name: string): Promise<SequenceValue> {
  const [row] = await session.query(
    `SELECT CAST(next_not_cached_value AS CHAR) AS next, CAST(cycle_count AS CHAR) AS round FROM ${quoteMysql(name)}`,
  );
  const value = { schema: '', name, lastValue: row?.next ?? '', isCalled: false };
  return row?.round === '0' ? value : { ...value, round: row?.round ?? '' };
}

/**
 * Sets a sequence to what it will give next, in the same round; SETVAL only moves one on.
 * @param back whether one that stands beyond that goes back to it
 * @returns whether it stands there now
 */
export async function setSequence(
  session: MysqlSession,
  { name, lastValue, round = '0' }: SequenceValue,
  back: boolean,
): Promise<boolean> {
  const quoted = quoteMysql(name);
  const next = BigInt(lastValue);
  const place = next === BELOW_LOWEST ? `${next + 1n}, 1` : `${next}, 0`;
  const moveOn = async (): Promise<boolean> => {
    const [row] = await session.query(`SELECT SETVAL(${quoted}, ${place}, ${BigInt(round)}) AS value`);
    return row?.value != null;
  };
  if (await moveOn()) return true;
  if (!back) return false;
  // One that has run out stands where no RESTART may put it, but SETVAL.
  const [row] = await session.query(
    `SELECT CAST(IF(increment < 0, maximum_value, minimum_value) AS CHAR) AS first FROM ${quoted}`,
  );
  await session.run(`ALTER SEQUENCE ${quoted} RESTART ${BigInt(row?.first ?? '')}`);
  return moveOn();
}

async function haveRows(session: MysqlSession, sequences: readonly string[]): Promise<boolean> {
  try {
    await session.query(sequences.map((name) => `(SELECT 1 FROM ${quoteMysql(name)} LIMIT 1)`).join(' UNION ALL '));
    return true;
  } catch (error) {
    if (mysqlErrorName(error) === 'ER_KEY_NOT_FOUND') return false;
    throw error;
  }
}

function rowLost(name: string): HoldfastError {
  return new HoldfastError(
    'DR_INCOMPATIBLE',
    `The sequence ${name} has lost its row: its server was killed right after it was created. Drop it and create it again; until then a look at its definition can end the server.`,
    { details: { object: name } },
  );
}
