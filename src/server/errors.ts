import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { ERRORS, type ErrorReport, HoldfastError } from '../errors.ts';
import type { HttpOptions } from './options.ts';

/** Codes of Apollo, and ours of the same kind, for requests that are at fault as a whole before anything is executed. */
const REQUEST_ERRORS = new Set([
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'BAD_USER_INPUT',
  'OPERATION_RESOLUTION_FAILURE',
  'QUERY_TOO_DEEP',
  'QUERY_TOO_COMPLEX',
]);
/** A request that is no GraphQL request, with the HTTP status that says so best. */
export class BadRequest extends HoldfastError {
  readonly status: number;

  constructor(message: string, status = 400) {
    super('BAD_REQUEST', message);
    this.status = status;
  }
}

/** How a server formats the errors of its answers. */
export interface ErrorFormat extends Omit<ErrorReport, 'requestId'> {
  readonly formatError: HttpOptions['formatError'];
}

/** Any failure as a GraphQL error; one of graphql-js without a code gets `code`. */
export function toGraphQLError(error: unknown, code = 'INTERNAL_SERVER_ERROR'): GraphQLError {
  if (error instanceof GraphQLError) {
    if (error.extensions.code !== undefined || error.originalError instanceof HoldfastError) return error;
    const { nodes = null, source = null, positions = null, originalError = null } = error;
    return new GraphQLError(error.message, { nodes, source, positions, originalError, extensions: { code } });
  }
  if (error instanceof Error) return new GraphQLError(error.message, { originalError: error });
  return new GraphQLError(String(error));
}

type FormattedParts = { readonly message: string } & Partial<Pick<GraphQLError, 'locations' | 'path' | 'extensions'>>;

/** A formatted error as an instance again, with its path and locations: Apollo and graphql-ws take nothing else. */
export function fromFormatted({ message, locations, path, extensions }: FormattedParts): GraphQLError {
  const error = new GraphQLError(message, { path: path ?? null, extensions: { ...extensions } });
  if (locations !== undefined) Object.assign(error, { locations });
  return error;
}

/** The error as the client sees it. `extensions.http` is what resolvers tell Apollo; the status is decided here. */
export function formatted(error: GraphQLError, requestId: string, format: ErrorFormat): GraphQLFormattedError {
  const { formatError, ...report } = format;
  const answer = formatError(error, { ...report, requestId });
  if (typeof answer.extensions?.http !== 'object') return answer;
  const { http: _, ...extensions } = answer.extensions;
  return { ...answer, extensions };
}

export function isRetryable(code: string): boolean {
  return Object.hasOwn(ERRORS, code) && ERRORS[code as keyof typeof ERRORS].retryable;
}

/**
 * HTTP status of an answer: 200 when at least one root field was answered, else that of the first error in the catalogue (an
 * unexpected failure of a resolver is 200 all the same: clients look at `data` and `errors`). Under
 * `application/json` (`legacy`) a request that is at fault itself is 200 too, as GraphQL over HTTP asks.
 */
export function statusOf(
  { data, errors }: { data?: Readonly<Record<string, unknown>> | null; errors?: readonly GraphQLFormattedError[] },
  legacy: boolean,
): number {
  const first = errors?.[0];
  if (first === undefined) return 200;
  if (data != null && Object.values(data).some((value) => value !== null)) return 200;
  const code = String(first.extensions?.code);
  if (REQUEST_ERRORS.has(code)) return legacy || data !== undefined ? 200 : 400;
  if (!Object.hasOwn(ERRORS, code) || code === 'INTERNAL_SERVER_ERROR') return data === undefined ? 500 : 200;
  return ERRORS[code as keyof typeof ERRORS].status;
}
