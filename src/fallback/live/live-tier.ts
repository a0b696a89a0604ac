import type { LiveCopy } from '../../../replica/live-copy.ts';
import type { ChangeLog } from '../../changelog/change-log.ts';
import type { Position } from '../../model/position.ts';
import type { Database } from '../../sqlite/database.ts';
import { createMeta, readMeta, writeMeta } from '../../sqlite/meta.ts';
import type { Store } from '../../store/store.ts';
import { type Clock, systemClock } from '../../util/clock.ts';
import type { Coverage, Tier } from '../tiers.ts';

/** The log of the database, as far as the age of a copy depends on it. */
export interface FollowedLog {
  /** When its end was last known, by the clock of the copy. */
  readonly endKnownMs: number;
}

export interface LiveTierOptions {
  readonly copy: Pick<LiveCopy, 'holds' | 'isSettled' | 'lagChanges' | 'reached'>;
  /** The copied log. */
  readonly log: Pick<ChangeLog, 'head'>;
  /** The copied documents. */
  readonly store: Store;
  /** Keeps when writers beside the gateway were last looked for. */
  readonly database: Database;
  /** Nobody writes to the database but gateways, so that nobody needs to look. */
  readonly exclusiveWriter: boolean;
  /** Since when a write may be in the database that is not in its log, in ms since 1970. Default: never. */
  readonly uncapturedSince?: (() => number | undefined) | undefined;
  readonly clock?: Clock | undefined;
  /** Milliseconds since 1970. Default Date.now. */
  readonly now?: (() => number) | undefined;
}

const SCRUBBED_KEY = 'copy.scrubbedAt';

/** The live copy of the database as the first tier. */
export class LiveTier implements Tier {
  readonly source = 'LIVE';
  readonly store: Store;
  readonly #options: LiveTierOptions;
  readonly #clock: Clock;
  readonly #now: () => number;
  #followed: FollowedLog | undefined;
  /** When the copy was last known to hold everything in the log, in ms since 1970. */
  #equalAt = 0;
  /** Until when writers beside the gateway were looked for, in ms since 1970. */
  #scrubbedAt: number;

  constructor(options: LiveTierOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#now = options.now ?? Date.now;
    this.store = options.store;
    this.#scrubbedAt = Number(readMeta(options.database.reader, SCRUBBED_KEY) ?? 0);
  }

  /** The log that the copy follows from now on. */
  follow(log: FollowedLog): void {
    this.#followed = log;
  }

  /** Every foreign write before `at` (ms since 1970) is in the log. Durable when it resolves. */
  async scrubbed(at: number): Promise<void> {
    this.#scrubbedAt = Math.max(this.#scrubbedAt, at);
    await this.#options.database.transaction((transaction) => {
      createMeta(transaction);
      writeMeta(transaction, SCRUBBED_KEY, this.#scrubbedAt);
    });
  }

  coverage(collection: string): Coverage {
    return this.#options.copy.holds(collection) ? 'WHOLE' : 'NONE';
  }

  stalenessMs(): number {
    const { copy, log, exclusiveWriter, uncapturedSince } = this.#options;
    const now = this.#now();
    if (this.#followed !== undefined && copy.isSettled && copy.lagChanges === 0) {
      const equalAt = now - (this.#clock.now() - this.#followed.endKnownMs);
      this.#equalAt = Math.max(this.#equalAt, equalAt);
    }
    // Before it ever was at the head, it goes as far as its last change.
    const asOf = this.#equalAt === 0 ? log.head().at : this.#equalAt;
    const captured = exclusiveWriter ? (uncapturedSince?.() ?? Number.POSITIVE_INFINITY) : this.#scrubbedAt;
    return Math.max(0, now - Math.min(asOf, captured));
  }

  /** When the last complete look for writers beside the gateway began, in ms since 1970; 0: nobody ever looked. */
  get scrubbedAt(): number {
    return this.#scrubbedAt;
  }

  position(): Position {
    return this.#options.log.head();
  }

  reached(sequence: number, timeoutMs: number): Promise<boolean> {
    return this.#options.copy.reached(sequence, timeoutMs);
  }
}
