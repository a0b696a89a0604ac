/** What a catalogue entry says about one error code. `test/errors.test.ts` checks that each code is thrown and tested. */
export interface ErrorDefinition {
  /** Why it happens, in a sentence an operator understands. */
  readonly cause: string;
  /** What to do next. */
  readonly remedy: string;
  /** Whether the same request may succeed later without being changed. */
  readonly retryable: boolean;
  /** HTTP status of the answer when the whole request failed with this code. */
  readonly status: number;
}

/**
 * Every error code of Holdfast; the public list users see in `extensions.code` and on the command line.
 * A code enters with the code that throws it. Apollo's own codes are kept as they are.
 */
export const ERRORS = {
  INTERNAL_SERVER_ERROR: {
    cause: 'Something failed that Holdfast did not expect.',
    remedy: 'Look up the requestId in the log, and report the log line.',
    retryable: false,
    status: 500,
  },
  BAD_REQUEST: {
    cause: 'The request is not a GraphQL request: its body, method, type or one of its parameters is wrong.',
    remedy: 'Send POST with `content-type: application/json` and a JSON object with the string `query`.',
    retryable: false,
    status: 400,
  },
  UNAUTHENTICATED: {
    cause: 'The request has no token, or one that is wrong, expired or revoked.',
    remedy:
      'Send the header `Authorization: Bearer hf_…` (over a websocket also as `authorization` of connection_init); `holdfast token create` makes a token.',
    retryable: false,
    status: 401,
  },
  FORBIDDEN: {
    cause: 'The caller may not do this, or a browser sent the request for a page of another site.',
    remedy: 'Use a token with the role that is needed; for a page of another origin add it to server.cors.',
    retryable: false,
    status: 403,
  },
  PAYLOAD_TOO_LARGE: {
    cause: 'The request body is larger than allowed.',
    remedy: 'Send less at once, or raise limits.bodyBytes.',
    retryable: false,
    status: 413,
  },
  QUERY_TOO_DEEP: {
    cause: 'Fields are nested deeper than allowed.',
    remedy: 'Ask for the inner objects in a query of their own, or raise limits.depth.',
    retryable: false,
    status: 400,
  },
  QUERY_TOO_COMPLEX: {
    cause: 'The query has too many parts, or can return too many objects.',
    remedy:
      'Ask for shorter lists (`limit`, `first`) or split the query; `limit` and `max` in the error name the bound.',
    retryable: false,
    status: 400,
  },
  RATE_LIMITED: {
    cause: 'This caller sent more requests than allowed.',
    remedy: 'Wait `retryAfterMs` and send the request again.',
    retryable: true,
    status: 429,
  },
  REQUEST_TIMEOUT: {
    cause: 'The operation took longer than limits.executionMs.',
    remedy: 'Ask for less. A mutation may have been carried out: send it again with the same Idempotency-Key.',
    retryable: true,
    status: 504,
  },
  SHUTTING_DOWN: {
    cause: 'This server is stopping.',
    remedy: 'Send the request again; another server, or this one after its start, will answer.',
    retryable: true,
    status: 503,
  },
  CONFIG_INVALID: {
    cause: 'The configuration file, the environment or a flag holds a value that is not accepted.',
    remedy: 'Correct the key the message names; `holdfast config print` shows what was read.',
    retryable: false,
    status: 500,
  },
  SCHEMA_INVALID: {
    cause: 'The SDL has mistakes.',
    remedy:
      'Correct each mistake in the list; every one names its file and line. `holdfast schema check` lists them too.',
    retryable: false,
    status: 500,
  },
  PORT_IN_USE: {
    cause: 'Another process listens on the port.',
    remedy: 'Stop that process, or choose another port with --port or --ops-port.',
    retryable: true,
    status: 500,
  },
  DATA_LOCKED: {
    cause: 'Another process uses this data directory.',
    remedy: 'Stop that process, or give this one its own directory with --data.',
    retryable: true,
    status: 500,
  },
  DATA_UNWRITABLE: {
    cause: 'A directory or bucket that data is kept in cannot be created, read or written.',
    remedy: 'Check its owner, permissions and free space, of a bucket its address and credentials; or choose another.',
    retryable: false,
    status: 500,
  },
  NOT_READY: {
    cause: 'This server has no data it may serve yet: a replica that was never proven equal to its primary.',
    remedy: 'Wait for the ready line, or watch `holdfast status`; ask the primary meanwhile.',
    retryable: true,
    status: 503,
  },
  NOT_FOUND: {
    cause: 'There is no document with that id.',
    remedy: 'Check the id; the document may have been deleted.',
    retryable: false,
    status: 200,
  },
  CONFLICT: {
    cause: 'The document was changed since the version named by ifVersion.',
    remedy: 'Take `current` and `currentVersion` from the error, redo the change on them, and send it again.',
    retryable: false,
    status: 200,
  },
  ALREADY_EXISTS: {
    cause:
      'Another document has the same id or the same value in a unique field, or an archive is already in that place.',
    remedy: 'Choose another value for the `fields` named or update the existing document; of an archive another place.',
    retryable: false,
    status: 200,
  },
  VALIDATION_FAILED: {
    cause: 'A value breaks a rule of the entity, or an idempotency key was used again with other arguments.',
    remedy: 'Correct the value the message names, or use a new key.',
    retryable: false,
    status: 200,
  },
  UNSUPPORTED_OPERATOR: {
    cause: 'The filter, update or sort uses an operator that this store does not implement exactly.',
    remedy: 'Rewrite the query without the operator the message names.',
    retryable: false,
    status: 200,
  },
  STALE_READ: {
    cause: 'The data here is older than the request allows (holdfast-min-position or holdfast-max-staleness-ms).',
    remedy: 'Try again shortly, loosen the bound, or ask the primary.',
    retryable: true,
    status: 200,
  },
  CURSOR_EXPIRED: {
    cause: 'The position lies before the oldest change that is still kept.',
    remedy: 'Read the current state, then subscribe from its position; or keep more with changeLog.retention.',
    retryable: false,
    status: 200,
  },
  PRIMARY_UNREACHABLE: {
    cause: 'The primary does not answer: it is down, the network is cut, the URL is wrong, or it refused this replica.',
    remedy: 'Check the URL and that a server runs there; a replica keeps trying and serves what it has meanwhile.',
    retryable: true,
    status: 503,
  },
  FORK: {
    cause:
      'This replica holds changes that its primary does not have: the primary was restored from an older state, or it is another database.',
    remedy:
      "Keep the replica's copy if those changes matter; then follow the primary as it is with `holdfast replica resync --force`.",
    retryable: false,
    status: 409,
  },
  FENCED: {
    cause:
      'The node that was asked belongs to an older epoch: another one was promoted in the meantime. Nothing was written.',
    remedy:
      'Send writes to the current primary, with the same Idempotency-Key; point replicas at it with --primary. The former primary becomes its replica with `holdfast replica` on its data directory.',
    retryable: false,
    status: 409,
  },
  SLOW_CONSUMER: {
    cause: 'A subscriber took no frame for 30 s although there were changes.',
    remedy: 'Subscribe again from `cursor`; when it happens often, look at the network and the disk of the replica.',
    retryable: true,
    status: 200,
  },
  SCHEMA_MISMATCH: {
    cause: "The primary's SDL is not the one this replica was given.",
    remedy: "Give both the same schema, or leave --schema away so that the replica takes the primary's.",
    retryable: true,
    status: 409,
  },
  NOT_PRIMARY: {
    cause: 'This node does not accept writes itself.',
    remedy: 'Send the mutation to the primary.',
    retryable: false,
    status: 409,
  },
  DATABASE_UNAVAILABLE: {
    cause: 'The database, or the primary that writes to it, cannot be reached. Nothing was written.',
    remedy: 'Try again after `retryAfterMs`.',
    retryable: true,
    status: 503,
  },
  WRITE_OUTCOME_UNKNOWN: {
    cause: 'The connection was lost after the write was sent: it may or may not have happened.',
    remedy:
      'Send the same request again with the `idempotencyKey` from the error as the Idempotency-Key header: it is written at most once.',
    retryable: true,
    status: 503,
  },
  JOURNAL_FULL: {
    cause:
      'The database is away, and the journal that keeps writes meanwhile has no room or cannot be written. Nothing was written.',
    remedy:
      'Try again after `retryAfterMs`; make room with `holdfast journal list` and `discard`, raise journal.maxEntries, or look at the disk of journal.dir.',
    retryable: true,
    status: 503,
  },
  FALLBACK_UNSUPPORTED: {
    cause: 'The database is away, and the copy that answers meanwhile cannot answer this query exactly.',
    remedy: 'Ask without the `operator` named, or try again when the database is back.',
    retryable: true,
    status: 503,
  },
  FALLBACK_COVERAGE_UNKNOWN: {
    cause: 'The database is away, and the copy that answers meanwhile has only a part of the documents.',
    remedy: 'Ask for one document by its id or a unique field, or try again when the database is back.',
    retryable: true,
    status: 503,
  },
  FALLBACK_MASKED: {
    cause: 'The database is away, and the copy that answers meanwhile does not have the real value of a field.',
    remedy: 'Ask without the field, or try again when the database is back.',
    retryable: true,
    status: 503,
  },
  WRITE_CONTENTION: {
    cause: 'Others kept changing the same document, so that the write could not be made. Nothing was written.',
    remedy: 'Send the request again; spread writes that all change one document.',
    retryable: true,
    status: 503,
  },
  DATASET_REFUSED: {
    cause:
      'A dataset was altered, made with another key or for another schema, is too old, or cannot be read; an older one is used if there is one.',
    remedy: 'Make a new one with `holdfast fallback refresh`; `fault` in the error says what is wrong with this one.',
    retryable: false,
    status: 409,
  },
  DATASET_LEAK: {
    cause:
      'A value of a masked field stands in another field of the dataset as well, which is kept. The dataset was thrown away.',
    remedy: 'Mask the `fields` that the error names with @sanitize, or exempt them with @sanitize(with: NONE).',
    retryable: false,
    status: 409,
  },
  DR_INCOMPATIBLE: {
    cause:
      'The archive cannot be restored here: another kind of database, an older server, a statement that this server refuses, or a restore that another version of Holdfast began.',
    remedy:
      'Restore into a server of the same kind and at least the same major version, with the extensions that the message names; go on with the version that began, or restore into an empty database.',
    retryable: false,
    status: 409,
  },
  DR_UNSUPPORTED_OBJECT: {
    cause: 'The database holds an object that a backup cannot keep whole.',
    remedy: 'Remove or change the objects that the message names, or leave them out with --allow-unsupported.',
    retryable: false,
    status: 422,
  },
  DR_TARGET_NOT_EMPTY: {
    cause: 'The target database already contains something, and nothing is ever overwritten.',
    remedy: 'Create an empty database and restore into it; after an interrupted restore add --resume.',
    retryable: false,
    status: 409,
  },
  DR_TARGET_IS_SOURCE: {
    cause: 'The target is the very database that the backup was taken of.',
    remedy: 'Restore into another, empty database.',
    retryable: false,
    status: 409,
  },
  DR_LOCKED: {
    cause: 'Another process works on the same tables or the same target, and did not let go in time.',
    remedy: 'Wait until it has finished or end it, then try again.',
    retryable: true,
    status: 409,
  },
  DR_CANCELLED: {
    cause: 'The work was cancelled before it was finished.',
    remedy: 'Start it again; a restore that had begun to write goes on with --resume.',
    retryable: false,
    status: 409,
  },
  DR_INTERRUPTED: {
    cause:
      'The gateway stopped in the middle of a backup or a verification. A backup cannot outlive its snapshot, so its files were removed.',
    remedy: 'Start it anew with `drResume`.',
    retryable: true,
    status: 409,
  },
  DR_PRIVILEGE_MISSING: {
    cause: 'The database user lacks a right that the work needs.',
    remedy: 'Grant the rights that the message names, or use another user.',
    retryable: false,
    status: 403,
  },
  DR_STORAGE_FULL: {
    cause: 'There is no space left where the archive or the database is written.',
    remedy: 'Free space, then start again; a restore goes on with --resume.',
    retryable: true,
    status: 507,
  },
  DR_NOT_FOUND: {
    cause:
      'There is no archive at that place (without `metadata.json` it is not a backup), a file of it is missing, or no job or configured database has that name.',
    remedy:
      'Check the path, URL or name; `holdfast dr list` shows the archives there are, and `dr.sources` names the databases.',
    retryable: false,
    status: 404,
  },
  DR_CHECKSUM_MISMATCH: {
    cause: 'The archive is not what the backup wrote: a file was altered, cut, exchanged, added or removed.',
    remedy:
      'Take another copy of this backup, or another backup. Nothing is restored from an archive that does not check out.',
    retryable: false,
    status: 409,
  },
} as const satisfies Record<string, ErrorDefinition>;

/** A code of the catalogue. */
export type ErrorCode = keyof typeof ERRORS;

/** Options of {@link HoldfastError}. */
export interface HoldfastErrorOptions {
  /** The error this one was caused by; kept for the log, never shown to a client. */
  readonly cause?: unknown;
  /** Public facts beside the message (`current`, `fields`, `retryAfterMs`, …); they become GraphQL extensions. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The one error class: a code of the catalogue, a message that names the object, public details. */
export class HoldfastError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: HoldfastErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'HoldfastError';
    this.code = code;
    this.details = options.details ?? {};
  }

  /** Whether the same request may succeed later, from the catalogue. */
  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }
}

/** Whether `error` is a {@link HoldfastError}, of `code` when given. */
export function isHoldfastError(error: unknown, code?: ErrorCode): error is HoldfastError {
  return error instanceof HoldfastError && (code === undefined || error.code === code);
}

/** The same error with one more sentence in its message. */
export function withSentence(
  error: HoldfastError,
  sentence: string,
  details: HoldfastError['details'] = {},
): HoldfastError {
  const message = `${error.message.replace(/[^.]$/, '$&.')} ${sentence}`;
  return new HoldfastError(error.code, message, { cause: error, details: { ...error.details, ...details } });
}

/** What is known about an answer with an error, and who wants to hear of it: for whoever turns errors into what clients see. */
export interface ErrorReport {
  readonly requestId: string;
  /** Nothing internal may be shown. */
  readonly production: boolean;
  /** To be told of errors of ours that something else has caused: the cause is for the log only. */
  readonly onCaused: (error: HoldfastError, requestId: string) => void;
  /** To be told of every error that nobody expected. */
  readonly onUnexpected: (error: unknown, requestId: string) => void;
}
