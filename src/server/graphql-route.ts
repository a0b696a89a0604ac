import { MIMEType } from 'node:util';
import { type ApolloServer, HeaderMap, type HTTPGraphQLResponse } from '@apollo/server';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type ExecutionResult, GraphQLError, type GraphQLFormattedError } from 'graphql';
import { HoldfastError } from '../errors.ts';
import type { ApolloContext } from './apollo.ts';
import type { Callers } from './callers.ts';
import { operationOf, type Prepared, type PreparedOperation } from './documents.ts';
import { BadRequest, type ErrorFormat, formatted, isRetryable, statusOf } from './errors.ts';
import { type Executor, type Presented, present } from './executor.ts';
import { type AnswerType, answerType } from './negotiate.ts';
import type { Observer } from './observer.ts';
import type { Operation, Provenance } from './options.ts';
import type { OriginPolicy } from './origin.ts';
import { plainOperation } from './plain-operation.ts';
import { keptHeaders, ServerRequest } from './request.ts';

/** What Apollo would look for in headers was decided before; the media type of its answer is replaced after. */
const NO_HEADERS = new HeaderMap([['accept', '']]); // what is absent would be read as a header that accepts everything, each time
/** Stands for a request without a query, which Apollo refuses. */
const NOT_PREPARED: Prepared = { operations: [], errors: [] };

export interface GraphqlRouteOptions {
  readonly path: string;
  readonly apollo: ApolloServer<ApolloContext>;
  readonly executor: Executor;
  readonly errors: ErrorFormat;
  readonly origins: OriginPolicy;
  readonly observer: Observer;
  readonly callers: Callers;
}

/**
 * GraphQL over HTTP at one path: our checks first, then {@link Executor}; for a request that is not an ordinary POST by way of Apollo,
 * which knows the rest of the protocol.
 */
export function addGraphqlRoute(fastify: FastifyInstance, options: GraphqlRouteOptions): void {
  const { path, origins, callers } = options;
  fastify.options(path, (request, reply) => {
    const headers = origins.preflightHeaders(request.headers.origin);
    if (headers === undefined) throw new HoldfastError('FORBIDDEN', 'Pages of this origin may not use this API.');
    reply.headers(headers).code(204).send();
  });
  fastify.route({
    method: ['PUT', 'PATCH', 'DELETE'],
    url: path,
    handler: (request, reply) => {
      reply.header('allow', 'GET, POST');
      throw new BadRequest(`${request.method} is not for GraphQL.`, 405);
    },
  });
  fastify.route({
    method: ['GET', 'POST'],
    url: path,
    // All of this comes before the body is read.
    onRequest: (request, reply, done) => {
      const cors = origins.corsHeaders(request.headers.origin);
      if (cors !== undefined) reply.headers(cors);
      try {
        origins.checkOrigin(request.headers);
        const finding = callers.find(request);
        checkBodyType(request);
        if (finding instanceof Promise) finding.then(() => done(), done);
        else done();
      } catch (error) {
        done(error as Error);
      }
    },
    handler: (request, reply) => new Exchange(options, request, reply).answer(),
  });
}

/** One HTTP request and its answer. */
class Exchange {
  readonly #options: GraphqlRouteOptions;
  readonly #http: FastifyRequest;
  readonly #reply: FastifyReply;
  readonly #startedMs = performance.now();
  #operation: PreparedOperation | undefined;
  #presented: Presented | undefined;
  #provenance: Provenance | undefined;

  constructor(options: GraphqlRouteOptions, http: FastifyRequest, reply: FastifyReply) {
    this.#options = options;
    this.#http = http;
    this.#reply = reply;
  }

  async answer(): Promise<string> {
    const { executor, apollo, callers } = this.#options;
    const type = answerType(this.#http.headers.accept);
    if (type === undefined) {
      throw new BadRequest('The answer is JSON; the accept header excludes it.', 406);
    }
    const request = new ServerRequest({
      requestId: this.#http.id,
      transport: 'HTTP',
      caller: callers.of(this.#http),
      address: this.#http.ip,
      headers: keptHeaders(this.#http.headers),
      connectionParams: undefined,
    });
    this.#reply.raw.once('close', () => {
      if (!this.#reply.raw.writableFinished) request.end(new Error('The client closed the connection.'));
    });
    const search = this.#search();
    const query = this.#query(search);
    const prepared = query === undefined ? NOT_PREPARED : executor.prepare(request, query);
    if (prepared.errors.length > 0) {
      const body = { errors: this.#format(prepared.errors) };
      return this.#send(request, type, statusOf(body, isLegacy(type)), body.errors, JSON.stringify(body));
    }
    const plain = plainOperation(this.#http);
    if (plain !== undefined) {
      const { data, errors, extensions } = await this.#execute(request, prepared, plain);
      return this.#executed(request, type, JSON.stringify({ errors, data, extensions }));
    }
    const response = await apollo.executeHTTPGraphQLRequest({
      httpGraphQLRequest: {
        method: this.#http.method,
        headers: NO_HEADERS,
        search,
        body: this.#http.body,
      },
      context: async () => ({ execute: (operation) => this.#execute(request, prepared, operation) }),
    });
    return this.#answerOf(request, type, response);
  }

  async #execute(request: ServerRequest, prepared: Prepared, operation: Operation): Promise<ExecutionResult> {
    const { executor } = this.#options;
    const found = operationOf(prepared, operation.operationName);
    let result: ExecutionResult;
    if (found instanceof GraphQLError) {
      result = { errors: [found] };
    } else if (found.type === 'subscription') {
      const error = new HoldfastError('BAD_REQUEST', 'Subscriptions are served over a websocket at the same URL.');
      result = { errors: [new GraphQLError(error.message, { originalError: error })] };
    } else {
      this.#operation = found;
      const answer = await executor.run({ request, prepared: found, operation });
      this.#provenance = answer.provenance;
      result = answer.result;
    }
    this.#presented = present({ result, provenance: this.#provenance }, this.#http.id, this.#options.errors);
    return this.#presented.result;
  }

  /** The answer of an operation that was executed, or could not be, whose text is made. */
  #executed(request: ServerRequest, type: AnswerType, text: string): string {
    const { answers, result } = this.#presented as Presented;
    const status = answers === undefined ? 200 : statusOf({ ...result, errors: answers }, isLegacy(type));
    return this.#send(request, type, status, answers, text);
  }

  /** Apollo's answer with our status, headers and log line. */
  #answerOf(request: ServerRequest, type: AnswerType, response: HTTPGraphQLResponse): string {
    const text = response.body.kind === 'complete' ? response.body.string : '';
    if (this.#presented !== undefined) return this.#executed(request, type, text);
    const body = JSON.parse(text) as { errors?: GraphQLFormattedError[] };
    const allow = response.headers.get('allow');
    if (allow !== undefined) this.#reply.header('allow', allow);
    const errors = body.errors?.map((error) => withIdentity(error, request.requestId));
    return this.#send(request, type, response.status ?? 400, errors, JSON.stringify({ ...body, errors }));
  }

  #send(
    request: ServerRequest,
    type: AnswerType,
    status: number,
    errors: readonly GraphQLFormattedError[] | undefined,
    text: string,
  ): string {
    const { observer } = this.#options;
    observer.ended({
      request,
      type: this.#operation?.type ?? 'invalid',
      name: this.#operation?.name,
      outcome: errors === undefined ? 'ok' : this.#operation === undefined ? 'refused' : 'error',
      errors,
      startedMs: this.#startedMs,
      status,
    });
    const reply = this.#reply;
    reply.code(status);
    reply.header('content-type', isLegacy(type) ? 'application/json; charset=utf-8' : `${type}; charset=utf-8`);
    reply.header('cache-control', 'no-store');
    reply.header('x-request-id', request.requestId);
    const retryAfterMs = errors?.[0]?.extensions?.retryAfterMs;
    if (typeof retryAfterMs === 'number') reply.header('retry-after', Math.ceil(retryAfterMs / 1000));
    if (this.#provenance !== undefined) {
      reply.header('holdfast-source', this.#provenance.source);
      reply.header('holdfast-as-of', this.#provenance.asOf);
      if (this.#provenance.position !== null) reply.header('holdfast-position', this.#provenance.position);
    }
    return text;
  }

  #format(errors: readonly GraphQLError[]): GraphQLFormattedError[] {
    return errors.map((error) => formatted(error, this.#http.id, this.#options.errors));
  }

  /** The query's text as Apollo will read it; undefined where Apollo will say what is wrong with it. */
  #query(search: string): string | undefined {
    const { method, body } = this.#http;
    if (method === 'GET') return new URLSearchParams(search).get('query') || undefined;
    if (typeof body !== 'object' || body === null || !('query' in body)) return undefined;
    return typeof body.query === 'string' && body.query !== '' ? body.query : undefined;
  }

  #search(): string {
    const mark = this.#http.url.indexOf('?');
    return mark < 0 ? '' : this.#http.url.slice(mark);
  }
}

/** An error that Apollo formatted, with what ours always have. */
function withIdentity(error: GraphQLFormattedError, requestId: string): GraphQLFormattedError {
  const code = String(error.extensions?.code ?? 'BAD_REQUEST');
  return { ...error, extensions: { ...error.extensions, code, retryable: isRetryable(code), requestId } };
}

function isLegacy(type: AnswerType): boolean {
  return type === 'application/json';
}

/** Only JSON in UTF-8 is read: no form can send that without asking first. */
function checkBodyType({ method, headers }: FastifyRequest): void {
  if (method !== 'POST') return;
  const given = headers['content-type'];
  if (given !== 'application/json' && !isJson(given)) {
    throw new BadRequest(`The body must be application/json in UTF-8, not ${given ?? 'without a type'}.`, 415);
  }
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
    throw new BadRequest('The body must not be compressed.', 415);
  }
}

function isJson(contentType: string | undefined): boolean {
  try {
    const { essence, params } = new MIMEType(contentType ?? '');
    return essence === 'application/json' && /^utf-?8$/i.test(params.get('charset') ?? 'utf-8');
  } catch {
    return false;
  }
}
