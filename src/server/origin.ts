import { HoldfastError } from '../errors.ts';

const LOOPBACK = /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/i;
/** What nearly every Host header is where only loopback is served; others are parsed. */
const PLAIN_LOOPBACK = /^(localhost|127\.0\.0\.1)(:\d{1,5})?$/;
const EXPOSED = 'holdfast-source, holdfast-as-of, holdfast-position, x-request-id, retry-after';
const ACCEPTED =
  'content-type, authorization, idempotency-key, x-request-id, holdfast-min-position, holdfast-max-staleness-ms';

interface BrowserHeaders {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  readonly 'sec-fetch-site'?: string | string[] | undefined;
}

/**
 * Decides which pages may use the API from a browser. A browser names the page's origin in `Origin`, and in `Sec-Fetch-Site`
 * how it relates to us; programs send neither. Together with the demand for a JSON content type, which no form can set, this
 * stops requests forged for pages of other sites without asking programs for a special header.
 */
export class OriginPolicy {
  readonly #allowed: ReadonlySet<string>;
  readonly #loopbackOnly: boolean;

  constructor({ cors = [], hostCheck = 'any' }: { cors?: readonly string[]; hostCheck?: 'loopback' | 'any' }) {
    this.#allowed = new Set(cors.map((origin) => new URL(origin).origin));
    this.#loopbackOnly = hostCheck === 'loopback';
  }

  /** @throws FORBIDDEN when Host does not name this machine (a DNS name that an attacker points here does not) */
  checkHost({ host }: BrowserHeaders): void {
    if (!this.#loopbackOnly || isLoopback(host)) return;
    throw new HoldfastError(
      'FORBIDDEN',
      `The Host header names ${JSON.stringify(host ?? '')}; without authentication only localhost is served.`,
    );
  }

  /** @throws FORBIDDEN when a browser sent this for a page that is neither ours nor allowed */
  checkOrigin(headers: BrowserHeaders): void {
    const { origin } = headers;
    if (origin !== undefined) {
      if (this.#allowed.has(origin) || isSameHost(origin, headers.host)) return;
      throw new HoldfastError('FORBIDDEN', `Pages of ${JSON.stringify(origin)} may not use this API; see server.cors.`);
    }
    const site = headers['sec-fetch-site'];
    if (site === 'cross-site' || site === 'same-site') {
      throw new HoldfastError('FORBIDDEN', 'The request comes from a page of another site.');
    }
  }

  /** Headers that let the browser show the answer to the page; none for pages of our own and for programs. */
  corsHeaders(origin: string | undefined): Readonly<Record<string, string>> | undefined {
    if (this.#allowed.size === 0) return undefined;
    if (origin === undefined || !this.#allowed.has(origin)) return { vary: 'origin' };
    return { vary: 'origin', 'access-control-allow-origin': origin, 'access-control-expose-headers': EXPOSED };
  }

  /** Headers of the answer to a preflight; undefined when the page may not ask. */
  preflightHeaders(origin: string | undefined): Readonly<Record<string, string>> | undefined {
    if (origin === undefined || !this.#allowed.has(origin)) return undefined;
    return {
      vary: 'origin',
      'access-control-allow-origin': origin,
      'access-control-allow-methods': 'GET, POST',
      'access-control-allow-headers': ACCEPTED,
      'access-control-max-age': '600',
    };
  }
}

function isSameHost(origin: string, host: string | undefined): boolean {
  const parsed = URL.parse(origin);
  if (parsed === null || parsed.host === '' || host === undefined) return false;
  return parsed.host === URL.parse(`${parsed.protocol}//${host}`)?.host;
}

function isLoopback(host = ''): boolean {
  return PLAIN_LOOPBACK.test(host) || LOOPBACK.test(URL.parse(`http://${host}`)?.hostname ?? '');
}
