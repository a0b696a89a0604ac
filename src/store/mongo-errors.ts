import {
  MongoAPIError,
  MongoError,
  MongoNetworkError,
  MongoNotConnectedError,
  MongoServerError,
  MongoServerSelectionError,
  MongoTopologyClosedError,
} from 'mongodb';
import { HoldfastError } from '../errors.ts';
import { plainCode } from './mongo-bson.ts';

/** What a failed operation on MongoDB means for whoever called it. */
export const MongoFault = {
  /** A unique index refused the document. */
  DUPLICATE: 'DUPLICATE',
  /** No server took the operation: nothing happened. */
  UNAVAILABLE: 'UNAVAILABLE',
  /** It was sent, and the answer is missing or says that it may not last: it happened, or not, or will. */
  UNKNOWN: 'UNKNOWN',
  /** User or password are wrong. */
  CREDENTIALS: 'CREDENTIALS',
  /** The user may not do this. */
  DENIED: 'DENIED',
  /** The server refused it as it is, and will again; or the error is not of the driver. */
  REFUSED: 'REFUSED',
} as const;
export type MongoFault = (typeof MongoFault)[keyof typeof MongoFault];

/**
 * Server codes by name:
 * https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
 */
const DUPLICATES: ReadonlySet<unknown> = new Set([11000, 11001, 12582]);
const CREDENTIALS: ReadonlySet<unknown> = new Set([18, 334, 391, 8000]);
const DENIED: ReadonlySet<unknown> = new Set([13]);
/** NotWritablePrimary and its kin refuse before they begin; IngressRequestRateLimitExceeded too. */
const NOT_BEGUN: ReadonlySet<unknown> = new Set([10107, 13435, 13436, 10058, 133, 134, 462]);
/** Network, timeout, shutdown, step-down and write concern: begun, the end not known. */
const UNFINISHED: ReadonlySet<unknown> = new Set([
  6, 7, 50, 64, 79, 89, 91, 100, 112, 189, 202, 262, 9001, 11600, 11601, 11602,
]);

/** Errors of the driver's connection pool, which it does not export: no connection was had, so nothing was sent. */
const NO_CONNECTION: ReadonlySet<string> = new Set([
  'MongoPoolClosedError',
  'MongoPoolClearedError',
  'MongoWaitQueueTimeoutError',
]);

/** Codes of Node's own errors about a connection that ended, which no call of the operating system names. */
const BROKEN_SOCKET: ReadonlySet<unknown> = new Set([
  ...['EPIPE', 'ECONNRESET', 'ERR_SOCKET_CLOSED'],
  ...['ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END', 'ERR_STREAM_PREMATURE_CLOSE'],
]);

/** Tells what `error` means, by its type and code. */
export function faultOf(error: unknown): MongoFault {
  const cause = unwrapped(error);
  // A deadline of ours.
  if (cause instanceof DOMException) return MongoFault.UNKNOWN;
  // The driver passes on what a socket says while a message is written.
  if (cause instanceof Error && ('syscall' in cause || BROKEN_SOCKET.has((cause as NodeJS.ErrnoException).code))) {
    return MongoFault.UNKNOWN;
  }
  if (!(cause instanceof MongoError)) return MongoFault.REFUSED;
  if (cause instanceof MongoServerSelectionError) return faultOfSelection(cause);
  if (cause instanceof MongoNotConnectedError || cause instanceof MongoTopologyClosedError) {
    return MongoFault.UNAVAILABLE;
  }
  if (NO_CONNECTION.has(cause.name)) return MongoFault.UNAVAILABLE;
  const fault = faultOfCode(cause.code);
  if (fault !== undefined) return fault;
  // The connection was not ready for the operation yet.
  if (cause.hasErrorLabel('HandshakeError') || cause.hasErrorLabel('NoWritesPerformed')) return MongoFault.UNAVAILABLE;
  if (cause instanceof MongoServerError || cause instanceof MongoAPIError) return MongoFault.REFUSED;
  // Networks, timeouts, a client closed under the operation, an answer that makes no sense.
  return MongoFault.UNKNOWN;
}

/** Whether a unique index refused the document; for a bulk write, any of its documents. */
export function isDuplicateKey(error: unknown): boolean {
  return faultOf(error) === MongoFault.DUPLICATE;
}

/**
 * Name of the unique index that refused the document (`_id_` for the id); of a bulk write, the first. Undefined when the error is
 * another one, or does not say. The name stands in the message only: no field of the error carries it.
 */
export function duplicateKeyIndex(error: unknown): string | undefined {
  if (!(error instanceof MongoError) || !isDuplicateKey(error)) return undefined;
  return indexNamed(error.message);
}

/** {@link duplicateKeyIndex} of one write error of a bulk write, by its `errmsg`. */
export function indexNamed(message: string | undefined): string | undefined {
  const match = /\bindex:? '?(.+?)'?(?: collation: | dup key|$)/i.exec(message ?? '');
  // Servers before 4.2 put the namespace before the name: `database.collection.$name`.
  return match?.[1]?.replace(/^.*\.\$/, '');
}

/**
 * The coded error for what is left of `error` when nobody can do anything more about it. `doing` names the operation and its
 * object (`append to the change log`). A write whose end is not known is WRITE_OUTCOME_UNKNOWN; a read is just unavailable.
 */
export function coded(error: unknown, doing: string, access: 'READ' | 'WRITE'): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const cause = unwrapped(error);
  const reason = cause instanceof Error ? cause.message : String(cause);
  switch (faultOf(cause)) {
    case MongoFault.UNAVAILABLE:
      return new HoldfastError('DATABASE_UNAVAILABLE', `${doing}: MongoDB cannot be reached`, { cause });
    case MongoFault.UNKNOWN:
      return access === 'READ'
        ? new HoldfastError('DATABASE_UNAVAILABLE', `${doing}: MongoDB did not answer`, { cause })
        : new HoldfastError('WRITE_OUTCOME_UNKNOWN', `${doing}: MongoDB did not answer`, { cause });
    case MongoFault.CREDENTIALS:
      return new HoldfastError(
        'CONFIG_INVALID',
        `${doing}: MongoDB refused the user; correct user, password and authSource in the URL of the store`,
        { cause },
      );
    case MongoFault.DENIED:
      return new HoldfastError(
        'CONFIG_INVALID',
        `${doing}: the user in the URL of the store may not do this; give it the role readWrite on the database`,
        { cause },
      );
    default:
      return new HoldfastError('INTERNAL_SERVER_ERROR', `${doing}: MongoDB refused it: ${reason}`, { cause });
  }
}

function faultOfCode(given: unknown): MongoFault | undefined {
  const code = plainCode(given);
  if (DUPLICATES.has(code)) return MongoFault.DUPLICATE;
  if (CREDENTIALS.has(code)) return MongoFault.CREDENTIALS;
  if (DENIED.has(code)) return MongoFault.DENIED;
  if (NOT_BEGUN.has(code)) return MongoFault.UNAVAILABLE;
  if (UNFINISHED.has(code)) return MongoFault.UNKNOWN;
  return undefined;
}

/** No server was found; when the only reason is that it refuses the user, that is the fault. */
function faultOfSelection(error: MongoServerSelectionError): MongoFault {
  const fault = error.cause instanceof MongoNetworkError ? undefined : faultOfCode(error.code);
  return fault === MongoFault.CREDENTIALS ? fault : MongoFault.UNAVAILABLE;
}

/** A bulk write wraps what ended it in an error of its own type. */
function unwrapped(error: unknown): unknown {
  const inner: unknown = error instanceof MongoServerError ? error.errorResponse : undefined;
  return inner instanceof Error ? inner : error;
}

/** For what ends after something was written, or may have been. */
export function outcomeUnknown(doing: string, cause: unknown): HoldfastError {
  return new HoldfastError('WRITE_OUTCOME_UNKNOWN', `${doing}: MongoDB did not answer; it may have happened`, {
    cause,
  });
}
