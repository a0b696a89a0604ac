import { HoldfastError, isHoldfastError } from '../../errors.ts';

/** A call that was not answered because the database is away. */
export class FallbackError extends HoldfastError {
  /** FALLBACK_UNSUPPORTED: what the copies cannot do. */
  readonly operator: string | undefined;
  /** DATABASE_UNAVAILABLE: when it may be worth while to try again. */
  readonly retryAfterMs: number | undefined;

  constructor({ code, message, details, cause }: HoldfastError) {
    super(code, message, { details, cause });
    const { operator, retryAfterMs } = details;
    this.operator = typeof operator === 'string' ? operator : undefined;
    this.retryAfterMs = typeof retryAfterMs === 'number' ? retryAfterMs : undefined;
  }
}

/** An error as callers of a client get it. */
export function told(error: unknown): unknown {
  return isHoldfastError(error) && !(error instanceof FallbackError) ? new FallbackError(error) : error;
}
