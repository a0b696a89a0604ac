import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Clock } from '../util/clock.ts';

/** What can be wrong with Redis: each begins and ends by itself. */
export type RedisTrouble = 'connection' | 'subscription' | 'write' | 'read' | 'ring' | 'listen';

/** The metrics that Redis's parts keep. */
export type RedisMetrics = Pick<
  Metrics,
  | 'holdfast_redis_unavailable'
  | 'holdfast_redis_incidents_total'
  | 'holdfast_redis_dropped_changes_total'
  | 'holdfast_redis_reads_total'
>;

/** All must be well for this long before an incident is over, so that a server that comes and goes is one incident. */
const SETTLE_MS = 500;

export interface RedisIncidentOptions {
  /** The server as it may be shown. */
  readonly redis: string;
  readonly logger: Logger;
  readonly metrics?: RedisMetrics | undefined;
  readonly clock: Clock;
}

/**
 * Joins everything that goes wrong with Redis at one time into one incident: one log line with the first cause when it begins,
 * one with its length when everything is well again, whatever number of commands failed in between.
 */
export class RedisIncident {
  readonly #options: RedisIncidentOptions;
  readonly #troubles = new Set<RedisTrouble>();
  #begun: { readonly at: number; droppedChanges: number } | undefined;
  #settled: (() => void) | undefined;
  #closed = false;

  constructor(options: RedisIncidentOptions) {
    this.#options = options;
  }

  /** Whether an incident goes on. */
  get unavailable(): boolean {
    return this.#begun !== undefined;
  }

  /** Something does not work. May be called for each failure. */
  begin(trouble: RedisTrouble, cause: unknown): void {
    if (this.#closed) return;
    const { redis, logger, metrics, clock } = this.#options;
    this.#settled?.();
    this.#settled = undefined;
    this.#troubles.add(trouble);
    if (this.#begun !== undefined) return;
    this.#begun = { at: clock.now(), droppedChanges: 0 };
    metrics?.holdfast_redis_unavailable.set(1);
    metrics?.holdfast_redis_incidents_total.inc();
    logger.warn(
      { redis, trouble, cause: messageOf(cause) },
      'Redis is unavailable: changes are read from the database meanwhile',
    );
  }

  /** It works again. May be called for each success. */
  end(trouble: RedisTrouble): void {
    if (!this.#troubles.delete(trouble) || this.#troubles.size > 0) return;
    const { clock } = this.#options;
    const wellAt = clock.now();
    this.#settled = clock.after(SETTLE_MS, () => this.#report(wellAt));
  }

  /** Changes were given up that Redis did not take in time. */
  dropped(changes: number): void {
    this.#options.metrics?.holdfast_redis_dropped_changes_total.inc(changes);
    if (this.#begun !== undefined) this.#begun.droppedChanges += changes;
  }

  /** Nothing is reported from here on: connections that are closed on purpose are no incident. */
  close(): void {
    this.#closed = true;
    this.#settled?.();
  }

  #report(wellAt: number): void {
    if (this.#begun === undefined) return;
    const { redis, logger, metrics } = this.#options;
    const { at, droppedChanges } = this.#begun;
    this.#begun = undefined;
    metrics?.holdfast_redis_unavailable.set(0);
    logger.info({ redis, unavailableMs: Math.round(wellAt - at), droppedChanges }, 'Redis is back');
  }
}

/** The message of an error; of a connection that failed for several addresses, the first one's. */
function messageOf(cause: unknown): string {
  if (cause instanceof AggregateError && cause.message === '') return messageOf(cause.errors[0]);
  return cause instanceof Error ? cause.message : String(cause);
}
