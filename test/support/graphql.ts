/** A GraphQL answer. */
export interface Answer {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly {
    readonly message: string;
    readonly extensions: Record<string, unknown> & { readonly code: string };
  }[];
  readonly extensions?: { readonly holdfast?: Record<string, unknown> };
}

/** Posts one operation; rejects only when no GraphQL answer came within `timeoutMs`. */
export async function post(
  url: string,
  query: string,
  variables: Record<string, unknown> = {},
  headers: Record<string, string> = {},
  timeoutMs = 10_000,
): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.timeout(timeoutMs),
  });
  return (await response.json()) as Answer;
}

/** The data of an answer; fails with the errors when there are any. */
export async function ask<T>(
  url: string,
  query: string,
  variables: Record<string, unknown> = {},
  headers: Record<string, string> = {},
  timeoutMs?: number,
): Promise<T> {
  const answer = await post(url, query, variables, headers, timeoutMs);
  if (answer.errors !== undefined) throw new Error(`${url}: ${JSON.stringify(answer.errors)}`);
  return answer.data as T;
}
