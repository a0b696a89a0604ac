import { HoldfastError } from '../errors.ts';
import { plainCode } from '../store/mongo-bson.ts';

/** What a failed call says about who is at fault. */
export const FaultClass = {
  /** The question is wrong, or the data is not what it expects. The database is well. */
  CALLER: 'CALLER',
  /** User, password, rights or certificates are wrong: nothing that waiting mends. */
  CONFIG: 'CONFIG',
  /** No server took the call: nothing happened. */
  DATABASE_DOWN: 'DATABASE_DOWN',
  /** It was sent, and the answer is missing: it may have happened. */
  AMBIGUOUS: 'AMBIGUOUS',
  /** The server is well and has too much to do. */
  OVERLOAD: 'OVERLOAD',
  /** A mistake in this program. */
  GATEWAY_BUG: 'GATEWAY_BUG',
} as const;
export type FaultClass = (typeof FaultClass)[keyof typeof FaultClass];

/** What a failure speaks against: the whole database, this operation on this collection, or nothing. */
export type Evidence = 'CONNECTION' | 'OPERATION' | 'NONE';

export interface Fault {
  readonly class: FaultClass;
  readonly evidence: Evidence;
}

const CALLER: Fault = { class: 'CALLER', evidence: 'NONE' };
const CONFIG: Fault = { class: 'CONFIG', evidence: 'NONE' };
const DOWN: Fault = { class: 'DATABASE_DOWN', evidence: 'CONNECTION' };
/** No connection was free: its holders hang, which need not be the database's fault. */
const CROWDED: Fault = { class: 'DATABASE_DOWN', evidence: 'OPERATION' };
const CUT_OFF: Fault = { class: 'AMBIGUOUS', evidence: 'CONNECTION' };
const SILENT: Fault = { class: 'AMBIGUOUS', evidence: 'OPERATION' };
/** The server gave up on this one call; it answers. */
const GIVEN_UP: Fault = { class: 'AMBIGUOUS', evidence: 'NONE' };
const OVERLOAD: Fault = { class: 'OVERLOAD', evidence: 'NONE' };
const BUG: Fault = { class: 'GATEWAY_BUG', evidence: 'NONE' };

/** Errors that say by their name alone whose fault they are. */
const BY_NAME: Readonly<Record<string, Fault>> = {
  DeadlineError: SILENT,
  TimeoutError: SILENT,
  AbortError: SILENT,

  MongoAPIError: CALLER,
  MongoInvalidArgumentError: CALLER,
  MongoParseError: CALLER,
  MongoCompatibilityError: CALLER,
  MongoCursorInUseError: CALLER,
  MongoCursorExhaustedError: CALLER,
  MongoTailableCursorError: CALLER,
  MongoBatchReExecutionError: CALLER,
  MongoTransactionError: CALLER,
  MongoExpiredSessionError: CALLER,
  BSONError: CALLER,
  BSONVersionError: CALLER,
  BSONRuntimeError: CALLER,
  BSONOffsetError: CALLER,

  MongoMissingCredentialsError: CONFIG,
  MongoMissingDependencyError: CONFIG,
  MongoAWSError: CONFIG,
  MongoAzureError: CONFIG,
  MongoGCPError: CONFIG,
  MongoKerberosError: CONFIG,
  MongoOIDCError: CONFIG,

  MongoServerSelectionError: DOWN,
  MongoTopologyClosedError: DOWN,
  MongoNotConnectedError: DOWN,
  MongoServerClosedError: DOWN,
  MongoClientClosedError: DOWN,
  MongoPoolClosedError: DOWN,
  MongoPoolClearedError: DOWN,
  MongoWaitQueueTimeoutError: CROWDED,

  MongoNetworkTimeoutError: SILENT,
  MongoOperationTimeoutError: SILENT,
  MongoNetworkError: CUT_OFF,
  // Connections in use are cut when the server no longer answers its monitor.
  PoolClearedOnNetworkError: CUT_OFF,
  MongoWriteConcernError: GIVEN_UP,
  MongoUnexpectedServerResponseError: CUT_OFF,
};

/** Codes of servers: https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml. Others are the caller's fault. */
const BY_CODE: ReadonlyMap<unknown, Fault> = new Map<number, Fault>([
  ...codes(CONFIG, [13, 18, 334, 391, 8000]),
  // Not the primary: refused before it began.
  ...codes(DOWN, [133, 134, 10058, 10107, 13435, 13436]),
  // Ended by a server that was on its way out, or not reached by the one that passed it on: some of it may have been done.
  ...codes(CUT_OFF, [6, 7, 89, 91, 189, 9001, 11600, 11602]),
  ...codes(SILENT, [262]),
  // Out of time, interrupted, or a write that may not last.
  ...codes(GIVEN_UP, [50, 64, 79, 100, 11601]),
  ...codes(OVERLOAD, [112, 202, 462]),
]);

/** Labels that the driver and servers put on errors; the first one found counts. */
const BY_LABEL: readonly (readonly [string, Fault])[] = [
  // The connection was not ready for the call yet.
  ['HandshakeError', DOWN],
  ['NoWritesPerformed', DOWN],
  ['PoolRequestedRetry', DOWN],
  ['SystemOverloadedError', OVERLOAD],
  ['UnknownTransactionCommitResult', GIVEN_UP],
  ['TransientTransactionError', GIVEN_UP],
];

/** What operating systems say when no connection could be made, and then nothing was sent. */
const NO_CONNECTION: ReadonlySet<unknown> = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'EADDRNOTAVAIL'],
]);
const BROKEN_CONNECTION: ReadonlySet<unknown> = new Set([
  ...['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED', 'ERR_SOCKET_CLOSED'],
  ...['ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END', 'ERR_STREAM_PREMATURE_CLOSE'],
]);
/** Certificates that are expired, unknown or of another host. */
const TLS = /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH)/;

/** Deepest chain of causes that is followed. */
const MAX_CAUSES = 8;

/** Errors as every store and driver may throw them, seen without their classes. */
interface ErrorFacts {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly cause?: unknown;
  readonly errorLabelSet?: unknown;
  readonly errorLabels?: unknown;
  /** Of a bulk write that no server ended: the error that did. */
  readonly errorResponse?: unknown;
  /** Of a bulk write: what was done. */
  readonly result?: Partial<Record<(typeof DONE)[number], unknown>> & { getWriteConcernError?(): unknown };
}

/** Counts of what a bulk write did. */
const DONE = ['insertedCount', 'matchedCount', 'deletedCount', 'upsertedCount'] as const;

/** Whose fault `error` is: by its type, code, labels and causes, never by its message. */
export function classify(error: unknown): Fault {
  if (error instanceof HoldfastError) return ofOurs(error);
  return ofForeign(error, MAX_CAUSES) ?? BUG;
}

/** An error of ours says itself what happened; of the cause only how far it reaches is taken. */
function ofOurs(error: HoldfastError): Fault {
  const { code } = error;
  const unavailable = code === 'DATABASE_UNAVAILABLE';
  if (unavailable || code === 'WRITE_OUTCOME_UNKNOWN') {
    const cause = ofForeign(error.cause, MAX_CAUSES);
    if (cause?.class === 'OVERLOAD') return cause;
    const evidence = cause === undefined || cause.class === 'GATEWAY_BUG' ? 'CONNECTION' : cause.evidence;
    return { class: unavailable && cause?.class !== 'AMBIGUOUS' ? 'DATABASE_DOWN' : 'AMBIGUOUS', evidence };
  }
  if (code === 'CONFIG_INVALID') return CONFIG;
  if (code === 'WRITE_CONTENTION') return OVERLOAD;
  if (code === 'INTERNAL_SERVER_ERROR') return ofForeign(error.cause, MAX_CAUSES) ?? BUG;
  return CALLER;
}

/** Undefined: nothing is known about such an error. */
function ofForeign(error: unknown, depth: number): Fault | undefined {
  if (typeof error !== 'object' || error === null || depth === 0) return undefined;
  return (error as ErrorFacts).name === 'MongoBulkWriteError' ? ofBulk(error, depth) : ofOne(error, depth);
}

/** A bulk write is several commands: that one of them was refused says nothing of those before it. */
function ofBulk(error: ErrorFacts & object, depth: number): Fault | undefined {
  const { errorResponse, result = {} } = error;
  if (result.getWriteConcernError?.() !== undefined) return GIVEN_UP;
  const fault = ofOne(errorResponse instanceof Error ? errorResponse : error, depth);
  const isRefused = fault?.class === 'DATABASE_DOWN' || fault?.class === 'OVERLOAD';
  const isBegun = DONE.some((count) => Number(result[count] ?? 0) > 0);
  return isRefused && isBegun ? { class: 'AMBIGUOUS', evidence: fault.evidence } : fault;
}

function ofOne(error: object, depth: number): Fault | undefined {
  const { name, code: given, cause } = error as ErrorFacts;
  const code = plainCode(given);
  const fromCause = (): Fault | undefined => ofForeign(cause, depth - 1);
  const named = typeof name === 'string' && Object.hasOwn(BY_NAME, name) ? BY_NAME[name] : undefined;
  if (named === DOWN || named === CUT_OFF) {
    const inner = fromCause();
    // Every server refuses our user, or its certificate is wrong: that is why none was found.
    if (inner?.class === 'CONFIG' || BY_CODE.get(code)?.class === 'CONFIG') return CONFIG;
    if (named === CUT_OFF)
      return hasLabel(error, 'HandshakeError') || inner?.class === 'DATABASE_DOWN' ? DOWN : CUT_OFF;
    return DOWN;
  }
  // The write was done, whatever its code says of the server.
  if (named === GIVEN_UP) return GIVEN_UP;
  if (typeof code === 'number' && isOfServer(name)) return BY_CODE.get(code) ?? labelled(error) ?? named ?? CALLER;
  if (named !== undefined) return named;
  const system = ofSystem(name, code);
  return system ?? labelled(error) ?? (isOfServer(name) ? CALLER : fromCause());
}

function isOfServer(name: unknown): boolean {
  return typeof name === 'string' && name.startsWith('Mongo');
}

function ofSystem(name: unknown, code: unknown): Fault | undefined {
  if (NO_CONNECTION.has(code)) return DOWN;
  if (BROKEN_CONNECTION.has(code)) return CUT_OFF;
  if (typeof code === 'string' && TLS.test(code)) return CONFIG;
  // More than 16 MiB: the driver lets Node's own error through.
  if (name === 'RangeError' && code === 'ERR_OUT_OF_RANGE') return CALLER;
  return undefined;
}

function labelled(error: object): Fault | undefined {
  return BY_LABEL.find(([label]) => hasLabel(error, label))?.[1];
}

function hasLabel(error: object, label: string): boolean {
  const { errorLabelSet, errorLabels } = error as ErrorFacts;
  if (errorLabelSet instanceof Set) return errorLabelSet.has(label);
  return Array.isArray(errorLabels) && errorLabels.includes(label);
}

function codes(fault: Fault, numbers: readonly number[]): [number, Fault][] {
  return numbers.map((code) => [code, fault]);
}
