import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Caller, RequestInfo } from './options.ts';

const KEPT = new Set(['authorization', 'user-agent', 'x-request-id', 'traceparent', 'idempotency-key']);
/** What we accept as a request id of a client or proxy: nothing that could forge a log line or a header. */
const REQUEST_ID = /^[\w.:/+=@-]{1,128}$/;

export interface RequestFacts {
  readonly requestId: string;
  readonly transport: 'HTTP' | 'WS';
  readonly caller: Caller;
  readonly address: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connectionParams: Readonly<Record<string, unknown>> | undefined;
}

/** A request that can be ended. The signal is made when somebody asks for it: most requests end before anybody does. */
export class ServerRequest implements RequestInfo {
  readonly requestId: string;
  readonly transport: 'HTTP' | 'WS';
  readonly principal: string;
  readonly roles: readonly string[];
  readonly address: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connectionParams: Readonly<Record<string, unknown>> | undefined;
  #controller: AbortController | undefined;
  #ended: { readonly reason: unknown } | undefined;
  #onEnd: ((reason: unknown) => void) | undefined;

  constructor({ requestId, transport, caller, address, headers, connectionParams }: RequestFacts) {
    this.requestId = requestId;
    this.transport = transport;
    this.principal = caller.principal;
    this.roles = caller.roles;
    this.address = address;
    this.headers = headers;
    this.connectionParams = connectionParams;
  }

  get idempotencyKey(): string | undefined {
    return this.headers['idempotency-key'];
  }

  get minPosition(): string | undefined {
    return this.headers['holdfast-min-position'];
  }

  get maxStalenessMs(): string | undefined {
    return this.headers['holdfast-max-staleness-ms'];
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#ended !== undefined) this.#controller.abort(this.#ended.reason);
    }
    return this.#controller.signal;
  }

  /** Ends the request; only the first reason counts. */
  end(reason: unknown): void {
    if (this.#ended !== undefined) return;
    this.#ended = { reason };
    this.#controller?.abort(reason);
    this.#onEnd?.(reason);
  }

  /** `work`, or a rejection with the reason as soon as the request is ended; what `work` does afterwards is nobody's business. */
  orEnd<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#onEnd = reject;
      if (this.#ended !== undefined) reject(this.#ended.reason);
      work.then(resolve, reject);
    });
  }
}

/** Ids of this process: a random part and a number, cheaper than random ones throughout. */
const PROCESS_ID = randomBytes(9).toString('base64url');
let lastNumber = 0;

/** The id a client or proxy gave, when it is a sane one, else a new one. */
export function requestIdFrom(given: string | string[] | undefined): string {
  if (typeof given === 'string' && REQUEST_ID.test(given)) return given;
  lastNumber++;
  return `${PROCESS_ID}-${lastNumber.toString(36)}`;
}

/** The headers that {@link RequestInfo} passes on. */
export function keptHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    if (typeof value === 'string' && isKept(name)) kept[name] = value;
  }
  return kept;
}

/** `headers` with those entries of a websocket's parameters that are written like headers we keep. */
export function withParameters(headers: Headers, parameters: unknown): Headers {
  return merged(headers, parameters, isKept);
}

/** `headers` with what one websocket operation says in its `extensions`; who asks was settled when the socket was opened. */
export function withExtensions(headers: Headers, extensions: unknown): Headers {
  return merged(headers, extensions, (name) => isKept(name) && name !== 'authorization');
}

type Headers = Readonly<Record<string, string>>;

function merged(headers: Headers, extras: unknown, wanted: (name: string) => boolean): Headers {
  if (typeof extras !== 'object' || extras === null) return headers;
  const result = { ...headers };
  for (const [key, value] of Object.entries(extras)) {
    const name = key.toLowerCase();
    if (wanted(name) && (typeof value === 'string' || typeof value === 'number')) result[name] = String(value);
  }
  return result;
}

function isKept(name: string): boolean {
  return KEPT.has(name) || name.startsWith('holdfast-');
}
