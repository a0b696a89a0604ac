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
    cause: 'The data directory cannot be created or written.',
    remedy: 'Check owner, permissions and free space of the directory, or choose another with --data.',
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
    cause: 'Another document has the same id or the same value in a unique field.',
    remedy: 'Choose another value for the `fields` named, or update the existing document.',
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
