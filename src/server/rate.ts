import { HoldfastError } from '../errors.ts';
import { Lru } from '../util/lru.ts';

/** Callers remembered at once; who was forgotten starts with a full bucket. */
const MAX_CALLERS = 10_000;

interface Bucket {
  tokens: number;
  atMs: number;
}

/** A token bucket for each caller. */
export class RateLimiter {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #nowMs: () => number;
  readonly #buckets = new Lru<string, Bucket>(MAX_CALLERS);

  constructor(rate: { readonly perSecond: number; readonly burst: number }, nowMs = () => performance.now()) {
    this.#perSecond = rate.perSecond;
    this.#burst = rate.burst;
    this.#nowMs = nowMs;
  }

  /** @throws RATE_LIMITED with `retryAfterMs` */
  take(caller: string): void {
    const now = this.#nowMs();
    let bucket = this.#buckets.get(caller);
    if (bucket === undefined) {
      bucket = { tokens: this.#burst, atMs: now };
      this.#buckets.set(caller, bucket);
    }
    bucket.tokens = Math.min(this.#burst, bucket.tokens + ((now - bucket.atMs) / 1000) * this.#perSecond);
    bucket.atMs = now;
    if (bucket.tokens < 1) {
      const retryAfterMs = Math.ceil(((1 - bucket.tokens) / this.#perSecond) * 1000);
      throw new HoldfastError(
        'RATE_LIMITED',
        `More than ${this.#perSecond} requests a second; wait ${retryAfterMs} ms.`,
        {
          details: { retryAfterMs },
        },
      );
    }
    bucket.tokens--;
  }
}
