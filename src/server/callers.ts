import type { FastifyRequest } from 'fastify';
import type { Caller, HttpOptions } from './options.ts';
import { keptHeaders } from './request.ts';

/** Who asks where nobody is asked who they are. */
export const ANONYMOUS: Caller = { principal: 'anonymous', roles: [] };

/** Who sent each HTTP request: found before its body is read, looked up when it is answered. */
export class Callers {
  readonly #authenticate: HttpOptions['authenticate'];
  readonly #found = new WeakMap<FastifyRequest, Caller>();

  constructor(authenticate: HttpOptions['authenticate']) {
    this.#authenticate = authenticate;
  }

  /** @throws what `authenticate` throws, or rejects with it */
  find(request: FastifyRequest): void | Promise<void> {
    const found = this.#authenticate?.({
      transport: 'HTTP',
      headers: keptHeaders(request.headers),
      connectionParams: undefined,
      address: request.ip,
    });
    if (found instanceof Promise) return found.then((caller) => void this.#found.set(request, caller));
    if (found !== undefined) this.#found.set(request, found);
  }

  /** Who was found. */
  of(request: FastifyRequest): Caller {
    return this.#found.get(request) ?? ANONYMOUS;
  }
}
