export interface BackoffOptions {
  /** First pause in ms. */
  readonly baseMs: number;
  /** Longest pause in ms. */
  readonly maxMs: number;
  /** Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** Pauses that double from try to try, each drawn between half of it and all, so that many replicas do not come at once. */
export class Backoff {
  readonly #options: BackoffOptions;
  #tries = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Tries since the last success. */
  get tries(): number {
    return this.#tries;
  }

  /** The pause before the next try, in ms. */
  next(): number {
    const { baseMs, maxMs, random = Math.random } = this.#options;
    const pauseMs = Math.min(maxMs, baseMs * 2 ** Math.min(this.#tries, 30));
    this.#tries += 1;
    return pauseMs * (0.5 + random() / 2);
  }

  /** It worked: the next pause is the first one again. */
  reset(): void {
    this.#tries = 0;
  }
}
