import { HoldfastError, isHoldfastError } from '../../errors.ts';

/** What a server that follows the S3 protocol, or the SDK, says about a failure. */
interface S3Failure {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

const MISSING = new Set(['NoSuchKey', 'NotFound', 'NoSuchUpload', 'NoSuchBucket']);
const FULL = new Set(['QuotaExceeded', 'StorageFull', 'XMinioStorageFull', 'InsufficientStorage']);

/** The error with a code of ours; told apart by name and status, never by message. */
export function s3Error(what: string, cause: unknown): unknown {
  if (isHoldfastError(cause)) return cause;
  const { name = '', code = '', message = '', $metadata } = cause as S3Failure;
  const status = $metadata?.httpStatusCode;
  const text = `${what}: ${name}${message === '' || message === name ? '' : `: ${message}`}`;
  if (name === 'NoSuchBucket') return new HoldfastError('DR_NOT_FOUND', `${what}: there is no such bucket`, { cause });
  if (MISSING.has(name) || status === 404) return new HoldfastError('DR_NOT_FOUND', text, { cause });
  if (name === 'PreconditionFailed' || status === 412 || name === 'ConditionalRequestConflict') {
    return new HoldfastError('ALREADY_EXISTS', text, { cause });
  }
  if (FULL.has(name) || status === 507) return new HoldfastError('DR_STORAGE_FULL', text, { cause });
  const reached = status !== undefined;
  if (reached && status !== 401 && status !== 403 && status < 500) return cause;
  return new HoldfastError('DATA_UNWRITABLE', code === '' ? text : `${text} (${code})`, { cause });
}
