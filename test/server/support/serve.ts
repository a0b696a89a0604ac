import { Writable } from 'node:stream';
import { onTestFinished } from 'vitest';
import { formatError } from '../../../resolvers/errors.ts';
import { startHttp } from '../../../src/server/http.ts';
import type { HttpOptions, HttpServer } from '../../../src/server/options.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createRegistry } from '../../../src/telemetry/metrics.ts';
import { type Probe, schoolSchema } from './school.ts';

export interface Served {
  readonly server: HttpServer;
  /** URL of the API. */
  readonly url: string;
  /** Same, for websockets. */
  readonly socketUrl: string;
  readonly probe: Probe;
  /** Log lines written so far. */
  readonly log: Record<string, unknown>[];
  readonly metrics: HttpOptions['metrics'];
}

/** A server over the school schema on a free port, stopped when the test ends. */
export async function serve(options: Partial<HttpOptions> = {}): Promise<Served> {
  const probe: Probe = { produced: 0, returned: 0, release: [], aborted: [] };
  const log: Record<string, unknown>[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      log.push(JSON.parse(String(chunk)));
      done();
    },
  });
  const metrics = options.metrics ?? createRegistry();
  const server = await startHttp({
    host: '127.0.0.1',
    port: 0,
    schema: schoolSchema(),
    context: (info) => ({ probe, signal: info.signal, principal: info.principal }),
    logger: createLogger({ pretty: false, level: 'debug', destination }),
    metrics,
    random: () => 0.5,
    formatError,
    ...options,
  });
  onTestFinished(() => server.stop({ graceMs: 0 }));
  const url = `${server.url}${options.path ?? '/graphql'}`;
  return { server, url, socketUrl: url.replace('http', 'ws'), probe, log, metrics };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly data: Record<string, unknown> | null | undefined;
  readonly errors: { message: string; path?: unknown[]; extensions: Record<string, unknown> }[] | undefined;
  readonly extensions: Record<string, unknown> | undefined;
  readonly text: string;
}

/** Posts a GraphQL request. */
export function post(
  url: string,
  body: string | { query?: unknown; variables?: unknown; operationName?: unknown },
  headers: Record<string, string> = {},
): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return request(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: text });
}

export async function request(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, init);
  const text = await response.text();
  const json = response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : {};
  return { status: response.status, headers: response.headers, text, ...json };
}

/** Waits for a condition that other work brings about; the test's own timeout bounds it. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
}

/** Value of a metric, summed over its labels. */
export async function metricValue(metrics: HttpOptions['metrics'], name: string): Promise<number | undefined> {
  const metric = await metrics.getSingleMetric(name)?.get();
  return metric?.values.reduce((sum, { value }) => sum + value, 0);
}
