import { type ErrorCode, HoldfastError, isHoldfastError } from '../../errors.ts';

/** SQLSTATE of a server's error, or the system's code of a broken connection; empty for others. */
export function sqlStateOf(error: unknown): string {
  const code = (error as { readonly code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

/** The transaction lost against another one and did nothing: serialization failure or deadlock. */
export function isLostRace(error: unknown): boolean {
  return /^(40001|40P01)$/.test(sqlStateOf(error));
}

/** What the driver says of a connection that broke, without any code. */
const BROKEN = /^Connection terminated|^Client has encountered a connection error/;

/** The connection broke: the system names the reason, or the driver says so in words alone. */
export function isLostConnection(error: unknown): boolean {
  const state = sqlStateOf(error);
  if (state !== '') return /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET)/.test(state);
  return error instanceof Error && BROKEN.test(error.message);
}

const CODES: readonly (readonly [RegExp, ErrorCode])[] = [
  [/^53100$/, 'DR_STORAGE_FULL'],
  [/^42501$/, 'DR_PRIVILEGE_MISSING'],
  [/^55P03$/, 'DR_LOCKED'],
  [/^(08|57P|53[23]00)/, 'DATABASE_UNAVAILABLE'],
];

/**
 * What PostgreSQL answered while `operation` (`load table "public"."orders"`) ran, as an error of ours. Errors that are coded already
 * come back as they are.
 */
export function targetError(operation: string, error: unknown): HoldfastError {
  if (isHoldfastError(error)) return error;
  const state = sqlStateOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const code = isLostConnection(error)
    ? 'DATABASE_UNAVAILABLE'
    : (CODES.find(([states]) => states.test(state))?.[1] ?? 'DR_INCOMPATIBLE');
  const { detail, where } = error as { readonly detail?: string; readonly where?: string };
  const more = [detail, where?.split('\n')[0]].filter((text) => text !== undefined).join('; ');
  return new HoldfastError(code, `${operation}: ${message}${more === '' ? '' : ` (${more})`}`, {
    cause: error,
    details: state === '' ? {} : { sqlState: state },
  });
}
