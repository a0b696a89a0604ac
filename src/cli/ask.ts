import { z } from 'zod';
import { ERRORS, type ErrorCode, HoldfastError } from '../errors.ts';

export interface Question<T> {
  readonly query: string;
  readonly variables?: Readonly<Record<string, unknown>>;
  /** The variables as JSON, in place of `variables`. */
  readonly variablesJson?: string;
  /** Shape of `data`. */
  readonly shape: z.ZodType<T>;
  readonly headers?: Readonly<Record<string, string>>;
  /** API token. */
  readonly token?: string | undefined;
  /** Default 30,000. */
  readonly timeoutMs?: number;
}

const ANSWER = z.object({
  data: z.unknown().optional(),
  errors: z
    .array(z.object({ message: z.string(), extensions: z.record(z.string(), z.unknown()).optional() }))
    .optional(),
});

/**
 * Sends one operation to a running Holdfast and returns its data.
 * @throws PRIMARY_UNREACHABLE when nothing, or something else, answers at `url`; else the first error of the answer
 */
export async function ask<T>(url: string, question: Question<T>): Promise<T> {
  const {
    query,
    variables = {},
    variablesJson = JSON.stringify(variables),
    headers = {},
    token,
    timeoutMs = 30_000,
  } = question;
  const text = `{"query":${JSON.stringify(query)},"variables":${variablesJson}}`;
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const body = await post(url, text, { ...headers, ...authorization }, timeoutMs);
  const answer = ANSWER.safeParse(body);
  if (!answer.success) throw unreachable(url, 'what answers there is no GraphQL API');
  const error = answer.data.errors?.[0];
  if (error !== undefined) throw errorOf(error.message, error.extensions ?? {});
  const data = question.shape.safeParse(answer.data.data);
  if (!data.success) throw unreachable(url, `what answers there is another API: ${z.prettifyError(data.error)}`);
  return data.data;
}

async function post(url: string, body: string, headers: Readonly<Record<string, string>>, timeoutMs: number) {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', ...headers },
      body,
      signal: AbortSignal.timeout(timeoutMs),
    });
    return (await response.json()) as unknown;
  } catch (cause) {
    throw unreachable(url, reasonOf(cause), cause);
  }
}

function errorOf(message: string, { code, ...details }: Readonly<Record<string, unknown>>): HoldfastError {
  const known = typeof code === 'string' && code in ERRORS;
  return new HoldfastError(known ? (code as ErrorCode) : 'INTERNAL_SERVER_ERROR', message, {
    details: known ? details : { ...details, answered: code },
  });
}

function unreachable(url: string, reason: string, cause?: unknown): HoldfastError {
  return new HoldfastError('PRIMARY_UNREACHABLE', `no answer from ${url}: ${reason}`, { cause });
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'it took too long';
  if (error instanceof SyntaxError) return 'what answers there does not speak JSON';
  const { code } = (error.cause ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : error.message;
}
