import { randomUUID } from 'node:crypto';
import type { ExecutionResult } from 'graphql';
import { HoldfastError } from '../src/errors.ts';
import { type Position, parsePosition } from '../src/model/position.ts';

/** An operation as the client sent it. */
export interface ForwardedOperation {
  readonly query: string;
  readonly operationName?: string | undefined;
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
}

/** The client's request around it. */
export interface ForwardedRequest {
  /** In lower case; `authorization`, `traceparent`, `x-request-id` and `holdfast-*` are passed on. */
  readonly headers: Readonly<Record<string, string>>;
  /** Made here when the client sent none, so that a repetition can be recognised. */
  readonly idempotencyKey: string | undefined;
  readonly requestId: string;
  readonly signal: AbortSignal;
}

export interface ForwarderOptions {
  /** URLs of the primaries, `ws:` or `http:` (with s), in the order they are tried. At least one. */
  readonly primaries: readonly string[];
  /** The one of `primaries` that is followed now, which is asked first. */
  readonly preferred?: (() => string) | undefined;
  /** Whether the replica reached a position in time. */
  readonly waitFor: (position: Position, timeoutMs: number, signal: AbortSignal) => Promise<boolean>;
  /** For the primary's whole answer. Default 7,000: with `visibleMs` less than the execution limit of the server that asks us. */
  readonly timeoutMs?: number | undefined;
  /** For the write to be visible here. Default 2,000. */
  readonly visibleMs?: number | undefined;
  /** Default: the global one. */
  readonly fetch?: typeof fetch | undefined;
}

/** Suggested pause before a write is tried again while no primary can be reached. */
const RETRY_AFTER_MS = 1_000;
/** Failures before a connection existed: nothing was sent. undici's and the system's codes. */
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Hands mutations to the primary as the client's own operations, and waits until they are visible here. */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #urls: readonly string[];

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#urls = options.primaries.map(httpUrlOf);
  }

  /**
   * The primary's answer, untouched. It comes when the write is visible here, or 2 s after the primary's at the latest.
   * @throws DATABASE_UNAVAILABLE (`retryAfterMs`) when no primary could be reached: nothing was sent;
   * WRITE_OUTCOME_UNKNOWN (`idempotencyKey`) when one was, and did not answer.
   */
  async forward(operation: ForwardedOperation, request: ForwardedRequest): Promise<ExecutionResult> {
    const key = request.idempotencyKey ?? randomUUID();
    const result = await this.#send(operation, request, key);
    const position = positionOf(result);
    if (position !== undefined) {
      await this.#options.waitFor(position, this.#options.visibleMs ?? 2_000, request.signal);
    }
    return result;
  }

  #inOrder(): readonly string[] {
    const { preferred } = this.#options;
    const first = preferred && httpUrlOf(preferred());
    return this.#urls.filter((url) => url === first).concat(this.#urls.filter((url) => url !== first));
  }

  async #send(operation: ForwardedOperation, request: ForwardedRequest, key: string): Promise<ExecutionResult> {
    const { fetch: send = fetch, timeoutMs = 7_000 } = this.#options;
    let cause: unknown;
    let refused: ExecutionResult | undefined;
    for (const url of this.#inOrder()) {
      try {
        const response = await send(url, {
          method: 'POST',
          headers: headersOf(request, key),
          body: JSON.stringify(operation),
          redirect: 'error',
          signal: AbortSignal.any([request.signal, AbortSignal.timeout(timeoutMs)]),
        });
        const result = resultOf(await response.json());
        // A former primary wrote nothing, and says so: another one may be the primary now.
        if (!isRefusedByRole(result) || this.#urls.length === 1) return result;
        refused = result;
      } catch (error) {
        if (!NOT_SENT.has(codeOf(error))) {
          throw new HoldfastError(
            'WRITE_OUTCOME_UNKNOWN',
            `the primary ${url} was sent the write and did not answer: send it again with the same Idempotency-Key`,
            { cause: error, details: { idempotencyKey: key } },
          );
        }
        cause = error;
      }
    }
    if (refused !== undefined) return refused;
    throw new HoldfastError(
      'DATABASE_UNAVAILABLE',
      `no primary can be reached at ${this.#urls.join(', ')}: nothing was written`,
      { cause, details: { retryAfterMs: RETRY_AFTER_MS } },
    );
  }
}

/** Whether nothing was written because of what the node is. */
function isRefusedByRole({ errors, data }: ExecutionResult): boolean {
  const isEmpty = Object.values(data ?? {}).every((value) => value === null);
  const codes = (errors ?? []).map(({ extensions }) => extensions?.code);
  return isEmpty && codes.length > 0 && codes.every((code) => code === 'FENCED' || code === 'NOT_PRIMARY');
}

/** The HTTP address of the API whose websocket address is `url`. */
export function httpUrlOf(url: string): string {
  return url.replace(/^ws(s?):/, 'http$1:');
}

function headersOf(request: ForwardedRequest, key: string): Record<string, string> {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    accept: 'application/graphql-response+json, application/json',
    'idempotency-key': key,
    'x-request-id': request.requestId,
  };
  for (const [name, value] of Object.entries(request.headers)) {
    if (name === 'authorization' || name === 'traceparent' || name.startsWith('holdfast-')) headers[name] = value;
  }
  return headers;
}

function resultOf(body: unknown): ExecutionResult {
  if (typeof body === 'object' && body !== null && ('data' in body || 'errors' in body)) {
    return body as ExecutionResult;
  }
  throw new Error('the answer is not one of GraphQL');
}

/** Where the primary's log was after the write: `extensions.holdfast.position`. */
function positionOf(result: ExecutionResult): Position | undefined {
  const holdfast = result.extensions?.holdfast as { readonly position?: unknown } | undefined;
  return typeof holdfast?.position === 'string' ? parsePosition(holdfast.position) : undefined;
}

/** The code of a failed fetch; undici hides it in `cause`, and in a list of causes when a name has several addresses. */
function codeOf(error: unknown): string {
  const { code, cause, errors } = (error ?? {}) as { code?: unknown; cause?: unknown; errors?: readonly unknown[] };
  if (typeof code === 'string') return code;
  if (errors?.[0] !== undefined) return codeOf(errors[0]);
  return cause === undefined ? '' : codeOf(cause);
}
