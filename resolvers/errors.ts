import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { ERRORS, type ErrorCode, type HoldfastError, isHoldfastError } from '../src/errors.ts';

/** What one request's errors are formatted with. */
export interface ErrorFormat {
  /** Put into every error, and into the log beside what is not shown. */
  readonly requestId: string;
  /** Hide what an error nobody expected says; stacks are never shown then. */
  readonly production: boolean;
}

/**
 * Apollo's `formatError` for one request: every error gets `extensions { code, retryable, requestId }` and the public
 * details of its code. Errors of the catalogue speak for themselves, also inside others; codes of Apollo and of
 * hand-written resolvers are kept; anything else is INTERNAL_SERVER_ERROR.
 */
export function formatError({ requestId, production }: ErrorFormat) {
  return (formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError => {
    const known = catalogued(error);
    if (known !== undefined && known.code !== 'INTERNAL_SERVER_ERROR') {
      const { code, details, message, retryable } = known;
      return { ...placed(formatted), message, extensions: { ...details, code, retryable, requestId } };
    }
    const { stacktrace, code: given, ...details } = formatted.extensions ?? {};
    const code = typeof given === 'string' ? given : 'INTERNAL_SERVER_ERROR';
    const retryable = Object.hasOwn(ERRORS, code) && ERRORS[code as ErrorCode].retryable;
    if (code === 'INTERNAL_SERVER_ERROR' && production) {
      const message = 'Something failed that was not expected; the log has it under this requestId.';
      return { ...placed(formatted), message, extensions: { code, retryable, requestId } };
    }
    const stack = production || stacktrace === undefined ? {} : { stacktrace };
    return {
      ...placed(formatted),
      message: formatted.message,
      extensions: { ...details, code, retryable, requestId, ...stack },
    };
  };
}

/** The error of the catalogue that this one is, or wraps as GraphQL does. */
function catalogued(error: unknown): HoldfastError | undefined {
  let current = error;
  while (current instanceof GraphQLError && current.originalError != null) current = current.originalError;
  return isHoldfastError(current) ? current : undefined;
}

function placed({ locations, path }: GraphQLFormattedError): Pick<GraphQLFormattedError, 'locations' | 'path'> {
  return { ...(locations === undefined ? {} : { locations }), ...(path === undefined ? {} : { path }) };
}
