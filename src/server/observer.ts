import type { GraphQLFormattedError } from 'graphql';
import type { Logger } from '../telemetry/logger.ts';
import { type Metrics, type MetricsRegistry, metricsOf } from '../telemetry/metrics.ts';
import type { RequestInfo } from './options.ts';

/** Codes counted one by one; whatever else resolvers invent is counted together, so that labels stay few. */
const MAX_CODES = 100;

/** What is known when an operation has ended. */
export interface Ended {
  readonly request: RequestInfo;
  readonly type: 'query' | 'mutation' | 'subscription' | 'invalid';
  readonly name: string | undefined;
  readonly outcome: 'ok' | 'error' | 'refused';
  readonly errors: readonly GraphQLFormattedError[] | undefined;
  readonly startedMs: number;
  /** HTTP status. */
  readonly status?: number;
  /** Results delivered, of a subscription. */
  readonly events?: number;
}

/** What is known of a request that never became an operation. */
export interface Refused {
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly error: GraphQLFormattedError;
}

/** Writes one log line and a few metrics for each operation. */
export class Observer {
  readonly metrics: Metrics;
  readonly #logger: Logger;
  readonly #counters = new Map<string, { inc(): void }>();
  readonly #timers = new Map<string, { observe(seconds: number): void }>();
  readonly #codes = new Set<string>();

  constructor(logger: Logger, registry: MetricsRegistry) {
    this.#logger = logger;
    this.metrics = metricsOf(registry);
  }

  ended({ request, type, name, outcome, errors, startedMs, status, events }: Ended): void {
    const ms = performance.now() - startedMs;
    const transport = request.transport === 'HTTP' ? 'http' : 'ws';
    this.#counter(transport, type, outcome).inc();
    if (type === 'query' || type === 'mutation') this.#timer(transport, type).observe(ms / 1000);
    for (const { extensions } of errors ?? []) this.#code(String(extensions?.code));
    if (!this.#logger.isLevelEnabled('info')) return;
    const { requestId, principal } = request;
    const code = errors?.[0]?.extensions?.code;
    const line = { requestId, transport, type, name, principal, status, code, events, ms: Math.round(ms * 100) / 100 };
    this.#logger.info(line, 'request');
  }

  /** A request that was answered with a failure before it became an operation. */
  refused({ error, path, ...facts }: Refused): void {
    this.#counter('http', 'invalid', 'refused').inc();
    this.#code(String(error.extensions?.code));
    const line = { ...facts, path: path.split('?', 1)[0], code: error.extensions?.code };
    this.#logger.info(line, error.message);
  }

  /** An error of ours that something else has caused. */
  caused(error: Error, requestId: string): void {
    this.#logger.warn({ requestId, err: error }, 'a request failed');
  }

  /** An error nobody expected: the log gets all of it, the client only the request id. */
  unexpected(error: unknown, requestId: string): void {
    this.#logger.error({ requestId, err: error }, 'a request failed unexpectedly');
  }

  #counter(transport: string, operation: string, outcome: string): { inc(): void } {
    const key = `${transport} ${operation} ${outcome}`;
    let counter = this.#counters.get(key);
    if (counter === undefined) {
      counter = this.metrics.holdfast_requests_total.labels({ transport, operation, outcome });
      this.#counters.set(key, counter);
    }
    return counter;
  }

  #timer(transport: string, operation: string): { observe(seconds: number): void } {
    const key = `${transport} ${operation}`;
    let timer = this.#timers.get(key);
    if (timer === undefined) {
      timer = this.metrics.holdfast_request_duration_seconds.labels({ transport, operation });
      this.#timers.set(key, timer);
    }
    return timer;
  }

  #code(code: string): void {
    if (this.#codes.size < MAX_CODES) this.#codes.add(code);
    this.metrics.holdfast_errors_total.inc({ code: this.#codes.has(code) ? code : 'other' });
  }
}
