import { type ErrorCode, HoldfastError, isHoldfastError } from '../../errors.ts';
import { mysqlErrorName } from '../../sql/mysql-session.ts';

/** The transaction lost against another one and did nothing. */
export function isLostRaceInMariadb(error: unknown): boolean {
  return /^ER_LOCK_(DEADLOCK|WAIT_TIMEOUT)$/.test(mysqlErrorName(error));
}

/** A statement that lost a deadlock, also one that an error of ours names. */
export function isDeadlock(error: unknown): boolean {
  return mysqlErrorName(isHoldfastError(error) ? error.cause : error) === 'ER_LOCK_DEADLOCK';
}

/** The user lacks a right. */
export function isDenied(error: unknown): boolean {
  return /^ER_(SPECIFIC_ACCESS|TABLEACCESS|COLUMNACCESS|PROCACCESS|DBACCESS|ACCESS|KILL)_DENIED(_ERROR|_NO_PASSWORD_ERROR)?$/.test(
    mysqlErrorName(error),
  );
}

const CODES: readonly (readonly [RegExp, ErrorCode])[] = [
  [/^ER_(DISK_FULL|RECORD_FILE_FULL)$/, 'DR_STORAGE_FULL'],
  [/^ER_LOCK_/, 'DR_LOCKED'],
  [
    /^(PROTOCOL_|ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ER_CON_COUNT|ER_SERVER_SHUTDOWN|ER_QUERY_INTERRUPTED)/,
    'DATABASE_UNAVAILABLE',
  ],
];

/** What the server answered while `operation` (`load table orders`) ran, as an error of ours; coded errors as they are. */
export function mariadbError(operation: string, error: unknown): HoldfastError {
  if (isHoldfastError(error)) return error;
  const name = mysqlErrorName(error);
  const found = isDenied(error) ? 'DR_PRIVILEGE_MISSING' : CODES.find(([names]) => names.test(name))?.[1];
  const message = error instanceof Error ? error.message : String(error);
  return new HoldfastError(found ?? 'DR_INCOMPATIBLE', `${operation}: ${message}`, {
    cause: error,
    details: name === '' ? {} : { error: name },
  });
}

/** Runs a step; what the server says of it becomes an error that names it, but for a lost race, which whoever began the transaction sees. */
export async function attempt<T>(what: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw mysqlErrorName(error) === '' || isLostRaceInMariadb(error) ? error : mariadbError(what, error);
  }
}
