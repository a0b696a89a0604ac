import { UsageError } from './command.ts';

/** GraphQL endpoints of processes with the default ports. */
export const DEFAULT_ENDPOINTS = {
  data: 'http://127.0.0.1:4000/graphql',
  primaryOps: 'http://127.0.0.1:4001/graphql',
  replicaOps: 'http://127.0.0.1:4011/graphql',
} as const;

/** The endpoint an option names; `/graphql` may be left out, as in the ready line. */
export function endpointOf(option: unknown, fallback: string): string {
  if (typeof option !== 'string') return fallback;
  if (!URL.canParse(option) || !/^https?:/.test(option)) {
    throw new UsageError(`${option} is not a URL like ${fallback}`);
  }
  const url = new URL(option);
  if (url.pathname === '/') url.pathname = '/graphql';
  return url.href;
}
