import { type FastifyError, type FastifyInstance, type FastifyRequest, fastify as newFastify } from 'fastify';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { ERRORS, HoldfastError } from '../errors.ts';
import { BadRequest, type ErrorFormat, formatted } from './errors.ts';
import { answerType } from './negotiate.ts';
import type { HttpOptions } from './options.ts';
import { requestIdFrom } from './request.ts';

// An import would bring Node's fetch and WebSocket with it: a twentieth of the CPU of a start.
const http = process.getBuiltinModule('node:http');

/** Time for a client to send its headers, and its whole request. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** Idle time after which a connection is closed; longer than balancers wait (60 s), so that they close it first. */
const KEEP_ALIVE_MS = 65_000;

/** Codes after which the connection is closed: what follows on it, or the rest of the body, is not wanted. */
const LAST_ANSWERS: ReadonlySet<string> = new Set(['SHUTTING_DOWN', 'PAYLOAD_TOO_LARGE', 'UNAUTHENTICATED']);

/** Fastify as we use it: it reads JSON only, and every failure is answered the way GraphQL answers, with a code. */
export function createFastify(
  bodyBytes: number,
  errors: ErrorFormat,
  onFailure: (request: FastifyRequest, status: number, error: GraphQLFormattedError) => void,
): FastifyInstance {
  const fastify = newFastify({
    logger: false,
    bodyLimit: Math.min(bodyBytes, Number.MAX_SAFE_INTEGER),
    genReqId: (request) => requestIdFrom(request.headers['x-request-id']),
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    http: { headersTimeout: HEADERS_TIMEOUT_MS },
    forceCloseConnections: false,
    return503OnClosing: false,
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    clientErrorHandler: (error, socket) => {
      if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
      const { status, reason } = UNREADABLE[error.code] ?? { status: 400, reason: 'it is not HTTP/1.1' };
      const failure = new BadRequest(`The request cannot be read: ${reason}.`, status);
      const answer = formatted(
        new GraphQLError(failure.message, { originalError: failure }),
        requestIdFrom(undefined),
        errors,
      );
      socket.end(rawAnswer(status, JSON.stringify({ errors: [answer] })), () => socket.destroy());
    },
  });
  fastify.removeContentTypeParser('text/plain');
  const checked = fastify.getDefaultJsonParser('error', 'error');
  const unchecked = fastify.getDefaultJsonParser('ignore', 'ignore');
  fastify.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) =>
    (mayPoison(body) ? checked : unchecked)(request, body, done),
  );
  fastify.setNotFoundHandler((request) => {
    throw new BadRequest(`There is nothing at ${request.url.split('?', 1)[0]}.`, 404);
  });
  fastify.setErrorHandler<FastifyError>((error, request, reply) => {
    const failure = failureOf(error, bodyBytes);
    const { status, code } = { status: ERRORS[failure.code].status, ...failure };
    const answer = formatted(new GraphQLError(failure.message, { originalError: failure }), request.id, errors);
    onFailure(request, status, answer);
    const { retryAfterMs } = failure.details;
    if (typeof retryAfterMs === 'number') reply.header('retry-after', Math.ceil(retryAfterMs / 1000));
    if (code === 'UNAUTHENTICATED') reply.header('www-authenticate', 'Bearer');
    if (LAST_ANSWERS.has(code)) reply.header('connection', 'close');
    return reply
      .code(status)
      .header('content-type', `${answerType(request.headers.accept) ?? 'application/json'}; charset=utf-8`)
      .header('cache-control', 'no-store')
      .header('x-request-id', request.id)
      .send(JSON.stringify({ errors: [answer] }));
  });
  return fastify;
}

/**
 * Listens as the options say.
 * @throws PORT_IN_USE; the system's error when the address cannot be used
 */
export async function listen(
  fastify: FastifyInstance,
  { host, port, portFlag = '--port' }: HttpOptions,
): Promise<void> {
  try {
    await fastify.listen({ host, port });
  } catch (error) {
    await fastify.close();
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new HoldfastError('PORT_IN_USE', `${host}:${port} is taken; choose another port with ${portFlag}.`, {
      cause: error,
      details: { host, port, flag: portFlag },
    });
  }
}

/**
 * Whether JSON may set a prototype, by `__proto__` or `constructor`, escapes included. Fastify looks for them by regular expressions,
 * which take half as long as all its parsing; finding neither word nor escape takes nearly nothing.
 */
function mayPoison(json: string): boolean {
  return json.includes('__proto__') || json.includes('constructor') || json.includes('\\u00');
}

/** What Node's parser gives up on before there is a request, by its code; the rest is no HTTP. */
const UNREADABLE: Readonly<Record<string, { readonly status: number; readonly reason: string }>> = {
  HPE_HEADER_OVERFLOW: { status: 431, reason: 'its headers are too long' },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, reason: 'it did not arrive in time' },
};

/** An answer for a connection that has no request. */
function rawAnswer(status: number, body: string): string {
  return [
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    '',
    body,
  ].join('\r\n');
}

/** In the place of the compilers of JSON Schema, which Fastify would load at each start: no route has one. */
function noSchemas(): never {
  throw new HoldfastError('INTERNAL_SERVER_ERROR', 'a route has a JSON Schema: give Fastify its compilers back');
}

/** Our own errors as they are, Fastify's refusals with a code; anything else is unexpected and thrown back. */
function failureOf(error: FastifyError, bodyBytes: number): HoldfastError {
  if (error instanceof HoldfastError) return error;
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new HoldfastError('PAYLOAD_TOO_LARGE', `The body is larger than ${bodyBytes} bytes.`, {
      details: { max: bodyBytes },
    });
  }
  const { statusCode = 500 } = error;
  if (statusCode >= 400 && statusCode < 500)
    return new BadRequest(`The request cannot be read: ${error.message}`, statusCode);
  return new HoldfastError('INTERNAL_SERVER_ERROR', error.message, { cause: error });
}
