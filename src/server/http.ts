import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { GraphQLSchema } from 'graphql';
import { HoldfastError } from '../errors.ts';
import { startApollo } from './apollo.ts';
import { Callers } from './callers.ts';
import type { ErrorFormat } from './errors.ts';
import { Executor } from './executor.ts';
import { createFastify, listen } from './fastify.ts';
import { Gate } from './gate.ts';
import { addGraphqlRoute } from './graphql-route.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { Observer } from './observer.ts';
import type { HttpOptions, HttpServer } from './options.ts';
import { OriginPolicy } from './origin.ts';
import { addIndexPage, addOpsPages } from './pages.ts';
import { Sockets } from './sockets.ts';
import { tolerateStrayRejections } from './stray-rejections.ts';

const DEFAULT_GRACE_MS = 10_000;
const DEFAULT_PING_MS = 12_000;
/** Time for the last answers to leave. */
const FLUSH_MS = 500;

/**
 * Serves a GraphQL schema over HTTP and `graphql-transport-ws` on one port; with `health`, the ops pages beside it. Resolves when
 * it listens.
 * @throws PORT_IN_USE; the system's error when the address cannot be used
 */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const { schema, logger, authenticate, isCurrent, path = '/graphql', pingMs = DEFAULT_PING_MS } = options;
  const { random = Math.random, delay = sleep } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  tolerateStrayRejections();
  const observer = new Observer(logger, options.metrics);
  const errors: ErrorFormat = {
    production: options.production === true,
    formatError: options.formatError,
    onCaused: (error, requestId) => observer.caused(error, requestId),
    onUnexpected: (error, requestId) => observer.unexpected(error, requestId),
  };
  const executor = new Executor(options, limits, observer.metrics.holdfast_requests_in_flight);
  const origins = new OriginPolicy(options);
  const apollo = await startApollo(schema, limits.tokens, logger);
  const fastify = createFastify(limits.bodyBytes, errors, (request, status, error) => {
    observer.refused({ requestId: request.id, method: request.method, path: request.url, status, error });
  });
  const gate = new Gate();
  const callers = new Callers(authenticate);

  fastify.addHook('onRequest', (request, _reply, done) => {
    origins.checkHost(request.headers);
    gate.check();
    done();
  });
  // Whoever is answered while we stop must not send the next request on a connection that is about to be closed.
  fastify.addHook('onSend', (_request, reply, payload, done) => {
    if (gate.state !== 'serving') reply.header('connection', 'close');
    done(null, payload);
  });
  addGraphqlRoute(fastify, { path, apollo, executor, errors, origins, observer, callers });
  const sockets = new Sockets(fastify.server, {
    ...{
      path,
      limits,
      executor,
      errors,
      origins,
      observer,
      logger,
      authenticate,
      isCurrent,
      pingMs,
      random,
      delay,
      gate,
    },
  });
  if (options.health === undefined) {
    addIndexPage(fastify, [path]);
  } else {
    const { health, metrics, explore = [{ name: 'ops', url: path }] } = options;
    const ready = () => ({ ...health(), ...(gate.state === 'serving' ? {} : { ready: false }) });
    addOpsPages(fastify, {
      ...{ health: ready, metrics, apis: explore, path },
      authorize: options.authorizePages && pageAuthorizer(callers, options.authorizePages),
    });
  }
  await listen(fastify, options);
  return new Listening(options, fastify, executor, sockets, gate);
}

class Listening implements HttpServer {
  readonly #options: HttpOptions;
  readonly #fastify: FastifyInstance;
  readonly #executor: Executor;
  readonly #sockets: Sockets;
  readonly #gate: Gate;
  #stopped: Promise<void> | undefined;

  constructor(options: HttpOptions, fastify: FastifyInstance, executor: Executor, sockets: Sockets, gate: Gate) {
    this.#options = options;
    this.#fastify = fastify;
    this.#executor = executor;
    this.#sockets = sockets;
    this.#gate = gate;
  }

  get url(): string {
    const { host } = this.#options;
    return `http://${host.includes(':') ? `[${host}]` : host}:${this.port}`;
  }

  get port(): number {
    return (this.#fastify.server.address() as AddressInfo | null)?.port ?? this.#options.port;
  }

  get state(): HttpServer['state'] {
    return this.#gate.state;
  }

  replaceSchema(schema: GraphQLSchema): void {
    this.#executor.replaceSchema(schema);
  }

  stop({ graceMs = DEFAULT_GRACE_MS }: { graceMs?: number } = {}): Promise<void> {
    this.#stopped ??= this.#stop(graceMs);
    return this.#stopped;
  }

  async #stop(graceMs: number): Promise<void> {
    this.#gate.state = 'draining';
    const { drainMs = 0, delay = sleep } = this.#options;
    if (drainMs > 0) await delay(drainMs);
    this.#gate.close();
    await within(graceMs, Promise.all([this.#executor.idle(), this.#sockets.drain(graceMs)]));
    this.#executor.endAll(new HoldfastError('SHUTTING_DOWN', 'This server has stopped; send the request again.'));
    await this.#executor.idle();
    this.#sockets.terminate();
    const closed = this.#fastify.close();
    await within(FLUSH_MS, closed);
    this.#fastify.server.closeAllConnections();
    await closed;
    this.#gate.state = 'stopped';
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Finds who asks for a page, and whether they may see it. */
function pageAuthorizer(callers: Callers, authorize: NonNullable<HttpOptions['authorizePages']>) {
  return async (request: FastifyRequest): Promise<void> => {
    await callers.find(request);
    authorize(callers.of(request));
  };
}

/** Resolves with `work`, or after `ms`. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  const limit = sleep(ms, undefined, { signal: over.signal }).catch(() => {});
  await Promise.race([work, limit]);
  over.abort();
}
