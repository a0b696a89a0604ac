import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { ERRORS, type ErrorCode, type ErrorReport, HoldfastError } from '../src/errors.ts';

/** graphql-js says this of a resolver's answer; it betrays nothing and tells where to look. */
const NULL_VIOLATION = /^Cannot return null for non-nullable field /;
/** graphql-js says this of arguments that only the variables show to be wrong. */
const BAD_ARGUMENT = /^Argument ".*" of (?:required|non-null) type /;

/**
 * The error as the client sees it, always with `extensions { code, retryable, requestId }`. Errors of the catalogue speak for
 * themselves with their public details, also inside others; codes of Apollo and of hand-written resolvers are kept; anything
 * else is INTERNAL_SERVER_ERROR.
 */
export function formatError(error: GraphQLError, report: ErrorReport): GraphQLFormattedError {
  const { message, extensions, ...place } = described(error, report);
  const { code } = extensions;
  const retryable = Object.hasOwn(ERRORS, code) && ERRORS[code as ErrorCode].retryable;
  return { message, ...place, extensions: { retryable, requestId: report.requestId, ...extensions } };
}

interface Described extends GraphQLFormattedError {
  readonly extensions: Record<string, unknown> & { readonly code: string };
}

function described(error: GraphQLError, { requestId, production, onCaused, onUnexpected }: ErrorReport): Described {
  const { message, locations, path, extensions = {} } = error.toJSON();
  const place = { ...(locations && { locations }), ...(path && { path }) };
  const cause = rootCause(error);
  if (cause instanceof HoldfastError && cause.code !== 'INTERNAL_SERVER_ERROR') {
    if (cause.cause !== undefined) onCaused(cause, requestId);
    return { message: cause.message, ...place, extensions: { ...cause.details, code: cause.code } };
  }
  const { code: given } = extensions;
  if (typeof given === 'string') return { message, ...place, extensions: { ...extensions, code: given } };
  if (BAD_ARGUMENT.test(message)) return { message, ...place, extensions: { ...extensions, code: 'BAD_USER_INPUT' } };
  onUnexpected(cause, requestId);
  const code = 'INTERNAL_SERVER_ERROR';
  if (cause instanceof GraphQLError || NULL_VIOLATION.test(message)) {
    return { message, ...place, extensions: { ...extensions, code } };
  }
  if (production) {
    const hidden = 'Something failed inside; the log says more under the requestId.';
    return { message: hidden, ...place, extensions: { code } };
  }
  const stacktrace = cause instanceof Error ? cause.stack?.split('\n') : undefined;
  return { message, ...place, extensions: { ...extensions, code, ...(stacktrace && { stacktrace }) } };
}

/** The first error that is not GraphQL's wrapping: what a resolver threw, or the GraphQL error itself. */
function rootCause(error: GraphQLError): unknown {
  let cause: Error = error;
  while (cause instanceof GraphQLError && cause.originalError != null) cause = cause.originalError;
  return cause;
}
