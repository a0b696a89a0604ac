import type { Operation } from './options.ts';

/**
 * The operation of an ordinary POST, as Apollo reads it. Undefined for everything else: then Apollo says what is wrong with the
 * request, or what it means. Apollo would hash the text of an ordinary one, look up its document and ask a dozen hooks that
 * nobody has set: as much work as all of ours for a small query.
 */
export function plainOperation({ method, body }: { method: string; body: unknown }): Operation | undefined {
  if (method !== 'POST' || !isRecord(body)) return undefined;
  const { query, operationName = null, variables = null, extensions = null } = body;
  if (typeof query !== 'string' || query === '') return undefined;
  if (operationName !== null && typeof operationName !== 'string') return undefined;
  if (variables !== null && !isRecord(variables)) return undefined;
  if (extensions !== null && (!isRecord(extensions) || 'persistedQuery' in extensions)) return undefined;
  return { query, operationName: operationName ?? undefined, variables: variables ?? undefined };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
