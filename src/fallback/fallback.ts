import type { Store } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import type { ScopeStatus } from './breaker.ts';
import type { BreakerSettings } from './breaker-settings.ts';
import { DEFAULT_DEADLINES_MS, type DeadlinesMs } from './calls.ts';
import { FallbackStore } from './fallback-store.ts';
import { Guard, type GuardState } from './guard.ts';
import { type Incident, Incidents } from './incidents.ts';
import type { Sources } from './provenance.ts';
import type { CollectionRules, Question } from './question.ts';
import { ReadRequest, type ReadWishes } from './read-request.ts';
import type { Scope } from './scope.ts';
import { type Coverage, type Tier, type TierSource, Tiers } from './tiers.ts';
import type { WriteFallback } from './write-fallback.ts';

/** The database as the fallback sees it. */
export interface Watched {
  readonly store: Store;
  /** Asks whether it can be written to; throws when not. */
  ping(signal: AbortSignal): Promise<void>;
}

export interface FallbackOptions {
  /** In the order they are asked. */
  readonly tiers: readonly Tier[];
  /** Throws for a collection that there is not. */
  readonly rules: (collection: string) => CollectionRules;
  readonly deadlineMs?: Partial<DeadlinesMs> | undefined;
  readonly breaker?: Partial<BreakerSettings> | undefined;
  /** Called with each read, whoever answers it. */
  readonly onRead?: ((question: Question<unknown>) => void) | undefined;
  /** Takes writes while the database is away. Default: all are refused. */
  readonly writes?: WriteFallback | undefined;
  /** Brings to the database what waited for it, before writes go there again; rejects when it could not. */
  readonly recover?: ((scope: Scope) => Promise<void>) | undefined;
  readonly logger?: Logger | undefined;
  readonly metrics?: Metrics | undefined;
  readonly clock?: Clock | undefined;
  /** Milliseconds since 1970. Default Date.now. */
  readonly wallClock?: (() => number) | undefined;
}

/** How the fallback is. */
export interface FallbackStatus {
  readonly state: GuardState;
  /** The database, and every other scope that is not simply closed. */
  readonly scopes: readonly ScopeStatus[];
  readonly tiers: readonly TierStatus[];
  /** The newest first. */
  readonly incidents: readonly Incident[];
}

export interface TierStatus {
  readonly source: TierSource;
  readonly collections: readonly {
    readonly collection: string;
    readonly coverage: Coverage;
    /** Infinity when not known. */
    readonly stalenessMs: number;
  }[];
}

/** A database, what answers in its place, and who decides between them. */
export class Fallback {
  readonly store: FallbackStore;
  readonly #options: FallbackOptions;
  readonly #clock: Clock;
  readonly #deadlineMs: DeadlinesMs;
  readonly #guard: Guard;
  readonly #tiers: Tiers;
  readonly #incidents: Incidents;
  #watched: Watched | undefined;
  /** Why the database refuses this process, while it does. */
  #refusal: string | null = null;

  /** Without a database at first: see {@link attach}. */
  constructor(options: FallbackOptions) {
    const { clock = systemClock, wallClock: now = Date.now, logger, metrics, writes, recover, breaker } = options;
    this.#options = options;
    this.#clock = clock;
    this.#deadlineMs = { ...DEFAULT_DEADLINES_MS, ...options.deadlineMs };
    this.#incidents = new Incidents({ logger, metrics, now });
    this.#tiers = new Tiers(options.tiers, options.rules);
    this.#guard = new Guard({
      probe: (scope, signal) => this.#probe(scope, signal),
      ...{ recover, breaker, clock },
      onOpened: ({ scope, cause, sinceMs }) => this.#incidents.opened(scope, cause, clock.now() - sinceMs),
      onClosed: (scope) => this.#incidents.closed(scope),
      onMisconfigured: (cause) => {
        this.#refusal = cause;
        if (cause !== null)
          logger?.error({ cause }, 'the database refuses calls: this is no outage, and is not answered otherwise');
      },
      onRescued: (count) => metrics?.holdfast_fallback_rescued_total.inc(count),
    });
    this.store = new FallbackStore({
      database: () => this.#watched?.store,
      ...{ guard: this.#guard, tiers: this.#tiers, incidents: this.#incidents, deadlineMs: this.#deadlineMs, writes },
      onRead: options.onRead,
      now: () => clock.now(),
    });
  }

  /** The database was reached, for the first time or anew; calls go there from now on, after a few probes if it was {@link lost}. */
  attach(watched: Watched): void {
    this.#watched = watched;
  }

  /** The database is known to be away: it could not be reached at the start, or all its servers are gone. Probes find out when it is back. */
  lost(cause: string): void {
    this.#guard.lost(cause);
  }

  /** The reads of one request. `onUse` is called after each. */
  request(wishes: ReadWishes, onUse: (sources: Sources) => void): ReadRequest {
    return new ReadRequest({ ...wishes, budgetMs: this.#deadlineMs.read, now: () => this.#clock.now(), onUse });
  }

  /** Whether writes to a collection go to the database now. */
  admits(collection: string): boolean {
    return this.#watched !== undefined && this.#guard.admits(collection, 'WRITE');
  }

  /** The database's own store; undefined until it was reached. */
  get database(): Store | undefined {
    return this.#watched?.store;
  }

  force(scope: Scope, state: 'OPEN' | 'CLOSED'): void {
    this.#guard.force(scope, state);
  }

  release(scope: Scope): void {
    this.#guard.release(scope);
  }

  /** `collections`: those to tell of. */
  status(collections: readonly string[]): FallbackStatus {
    return {
      state: this.#guard.state,
      scopes: this.#guard.status(),
      tiers: this.#options.tiers.map((tier) => ({
        source: tier.source,
        collections: collections.map((collection) => ({
          collection,
          coverage: tier.coverage(collection),
          stalenessMs: tier.stalenessMs(collection),
        })),
      })),
      incidents: this.#incidents.list(),
    };
  }

  /** Sentences for an operator. */
  problems(): string[] {
    const { current } = this.#incidents;
    const problems: string[] = [];
    if (current !== undefined) {
      const { startedAt, scopes, cause } = current;
      problems.push(`the database does not answer since ${startedAt} (${scopes.join(', ')}): ${cause}`);
    }
    if (this.#refusal !== null) {
      problems.push(`the database refuses calls: correct user, password, rights or certificates (${this.#refusal})`);
    }
    return problems;
  }

  stop(): void {
    this.#guard.stop();
  }

  async #probe({ collection, operation }: Scope, signal: AbortSignal): Promise<void> {
    if (this.#watched === undefined) throw new NotReachedError('the database was not reached yet');
    const { store } = this.#watched;
    const reads = collection === undefined || operation === 'WRITE' ? undefined : store.collection(collection);
    await Promise.all([this.#watched.ping(signal), reads?.findOne({}, { signal })]);
  }
}

class NotReachedError extends Error {
  override readonly name = 'NotReachedError';
}
