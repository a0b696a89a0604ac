/**
 * Gives versions: the time in ms, but never less than the version after the document's last one nor than any version given
 * before, so that versions never decrease along the log, whatever the clock of the machine does.
 */
export class HybridClock {
  /** The time in ms since 1970. */
  readonly now: () => number;
  readonly #highest: () => number;
  #last: number | undefined;

  /** `highest` finds the highest version ever given in this database; called once, before the first version. */
  constructor(now: () => number, highest: () => number) {
    this.now = now;
    this.#highest = highest;
  }

  /** The version after `previous` of the same document; 0 when there was none. */
  next(previous: number): number {
    this.#last = Math.max(previous + 1, this.now(), this.#last ?? this.#highest());
    return this.#last;
  }

  /** Sees to it that later versions are above `version`: the document it belonged to is about to be forgotten. */
  raise(version: number): void {
    this.#last = Math.max(version + 1, this.#last ?? this.#highest());
  }
}
