import type { Checked } from './schema.ts';

/** What was given, by dotted path: for the rules that ask, and for their words. */
export interface Given {
  has(path: string): boolean;
  originOf(path: string): string;
}

/** Rules that concern more than one key. */
export function mistakesTogether(config: Checked, given: Given): string[] {
  const mistakes: string[] = [];
  const { host } = config.server;
  if (config.role === 'replica' && config.replica.primary.length === 0) {
    mistakes.push('replica.primary is missing; name the primary, e.g. --primary ws://127.0.0.1:4000/graphql');
  }
  if (config.auth.mode === 'none' && !isLoopback(host)) {
    mistakes.push(
      `server.host is ${host}: with auth.mode none every caller has every role, so only a loopback address is allowed; set auth.mode to token (${given.originOf('server.host')})`,
    );
  }
  const hashes = config.auth.tokens.map(({ hash }) => hash);
  if (new Set(hashes).size < hashes.length) {
    mistakes.push(`auth.tokens holds one hash twice (${given.originOf('auth.tokens')})`);
  }
  if (config.store.url?.startsWith('sqlite:') && given.has('store.data')) {
    mistakes.push(
      `store.url and store.data both name the directory of the embedded store (${given.originOf('store.url')}, ${given.originOf('store.data')})`,
    );
  }
  if (config.server.port !== 0 && config.server.port === config.server.opsPort) {
    mistakes.push(
      `server.port and server.opsPort are both ${config.server.port} (${given.originOf('server.port')}, ${given.originOf('server.opsPort')})`,
    );
  }
  return mistakes;
}

/** What is wrong with `HOLDFAST_FAILPOINT`. */
export function mistakesOfFailpoint(failpoint: string, production: boolean): string[] {
  if (production) return ['HOLDFAST_FAILPOINT kills the process: it is for tests, not for production'];
  if (/^[\w.]+(:[1-9]\d{0,8})?$/.test(failpoint)) return [];
  return [`HOLDFAST_FAILPOINT is "${failpoint}"; write a name, or name:N for its N-th time`];
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
