import type { Clock } from '../../util/clock.ts';

export interface MissedWritesOptions {
  /** Looks for what was missed in collections; resolves with the time at which it began, undefined when it could not look. */
  readonly look: (collections: readonly string[]) => Promise<number | undefined>;
  /** Told why a look failed, and null when one did not. */
  readonly onTrouble: (error: unknown) => void;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Before it is looked for what was missed, in ms: more may come. */
const SOON_MS = 250;
const RETRY_MS = 500;
const MOST_RETRY_MS = 60_000;

interface Missed {
  /** When the first such write began, in ms since 1970. */
  readonly since: number;
  /** When the last one could be seen, in ms since 1970. */
  readonly until: number;
}

/** Writes that are in the database and were not captured one by one: they are looked for. */
export class MissedWrites {
  readonly #options: MissedWritesOptions;
  readonly #missed = new Map<string, Missed>();
  #callOff: (() => void) | undefined;
  #isLooking = false;
  #retryMs = RETRY_MS;
  #ended = false;

  constructor(options: MissedWritesOptions) {
    this.#options = options;
  }

  /** Since when something may be missing, in ms since 1970; undefined: nothing is. */
  get since(): number | undefined {
    let first: number | undefined;
    for (const { since } of this.#missed.values()) first = Math.min(first ?? since, since);
    return first;
  }

  /** A write of a collection, begun at `since`, was not captured; it can be seen from `until` on at the latest. */
  add(collection: string, since: number, until = this.#options.now()): void {
    const known = this.#missed.get(collection);
    this.#missed.set(collection, {
      since: Math.min(known?.since ?? since, since),
      until: Math.max(known?.until ?? until, until),
    });
    this.#soon(SOON_MS);
  }

  /** All that was written to these collections before `asOf` is captured. */
  found(collections: readonly string[], asOf: number): void {
    for (const name of collections) {
      const missed = this.#missed.get(name);
      if (missed !== undefined && missed.until < asOf) this.#missed.delete(name);
    }
  }

  stop(): void {
    this.#ended = true;
    this.#callOff?.();
  }

  #soon(ms: number): void {
    if (this.#ended || this.#isLooking) return;
    this.#callOff ??= this.#options.clock.after(ms, () => {
      this.#callOff = undefined;
      void this.#look();
    });
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    const collections = [...this.#missed.keys()];
    const { look, onTrouble } = this.#options;
    try {
      const asOf = await look(collections);
      onTrouble(null);
      this.#retryMs = RETRY_MS;
      if (asOf !== undefined) this.found(collections, asOf);
    } catch (error) {
      onTrouble(error);
      this.#retryMs = Math.min(2 * this.#retryMs, MOST_RETRY_MS);
    }
    this.#isLooking = false;
    if (this.#missed.size > 0) this.#soon(this.#retryMs);
  }
}
