import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { type Scope, scopeName } from './scope.ts';
import type { TierSource } from './tiers.ts';

/** One outage: from the first scope that opened to the last that closed. */
export interface Incident {
  /** Grows by one, from 1 at the start of the process. */
  readonly id: number;
  /** ISO 8601: when the first call began that failed. */
  readonly startedAt: string;
  /** From then until it was found out, in ms. */
  readonly detectedMs: number;
  /** ISO 8601; null while it lasts. */
  readonly endedAt: string | null;
  readonly cause: string;
  /** Every scope that opened, e.g. `database`, `things:READ`. */
  readonly scopes: readonly string[];
  /** Reads answered by each tier. */
  readonly reads: Readonly<Record<TierSource, number>>;
  /** Reads that no tier could answer. */
  readonly readsRefused: number;
  readonly writesRefused: number;
  readonly writesUnknown: number;
  readonly writesJournaled: number;
}

export type WriteFate = 'refused' | 'unknown' | 'journaled';

/** Incidents kept. */
const KEPT = 20;

interface Open extends Incident {
  endedAt: string | null;
  readonly scopes: string[];
  readonly reads: Record<TierSource, number>;
  readsRefused: number;
  writesRefused: number;
  writesUnknown: number;
  writesJournaled: number;
}

export interface IncidentsOptions {
  readonly logger?: Logger | undefined;
  readonly metrics?: Metrics | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Keeps a record of each outage, and tells log and metrics of it. */
export class Incidents {
  readonly #options: IncidentsOptions;
  readonly #past: Open[] = [];
  readonly #open = new Set<string>();
  #current: Open | undefined;
  #lastId = 0;

  constructor(options: IncidentsOptions) {
    this.#options = options;
  }

  /** The outage that lasts, if any. */
  get current(): Incident | undefined {
    return this.#current;
  }

  /** The newest first. */
  list(): readonly Incident[] {
    return this.#past.toReversed();
  }

  /** `agoMs`: how long ago the trouble began. */
  opened(scope: Scope, cause: string, agoMs: number): void {
    const { logger, metrics, now } = this.#options;
    const name = scopeName(scope);
    this.#open.add(name);
    metrics?.holdfast_fallback_transitions_total.inc({ scope: levelOf(scope), to: 'open' });
    if (this.#current !== undefined) {
      if (!this.#current.scopes.includes(name)) this.#current.scopes.push(name);
      return;
    }
    this.#lastId += 1;
    this.#current = {
      ...{ id: this.#lastId, startedAt: new Date(now() - agoMs).toISOString(), detectedMs: Math.round(agoMs) },
      ...{ endedAt: null, cause, scopes: [name] },
      reads: { LIVE: 0, SNAPSHOT: 0, DATASET: 0 },
      ...{ readsRefused: 0, writesRefused: 0, writesUnknown: 0, writesJournaled: 0 },
    };
    this.#past.push(this.#current);
    if (this.#past.length > KEPT) this.#past.shift();
    const { id, detectedMs } = this.#current;
    logger?.error({ incident: id, scope: name, cause, detectedMs }, 'the database does not answer: the fallback does');
  }

  closed(scope: Scope): void {
    const { logger, metrics, now } = this.#options;
    this.#open.delete(scopeName(scope));
    metrics?.holdfast_fallback_transitions_total.inc({ scope: levelOf(scope), to: 'closed' });
    if (this.#open.size > 0 || this.#current === undefined) return;
    const ended = this.#current;
    ended.endedAt = new Date(now()).toISOString();
    this.#current = undefined;
    const { id, startedAt, scopes, reads, readsRefused, writesRefused, writesUnknown, writesJournaled } = ended;
    const durationMs = Math.round(now() - Date.parse(startedAt));
    logger?.info(
      { incident: id, durationMs, scopes, reads, readsRefused, writesRefused, writesUnknown, writesJournaled },
      'the database answers again',
    );
  }

  /** A read was answered by a tier, or by none. */
  countRead(source: TierSource | undefined): void {
    this.#options.metrics?.holdfast_fallback_reads_total.inc({ source: source?.toLowerCase() ?? 'none' });
    if (this.#current === undefined) return;
    if (source === undefined) this.#current.readsRefused += 1;
    else this.#current.reads[source] += 1;
  }

  countWrite(fate: WriteFate): void {
    this.#options.metrics?.holdfast_fallback_writes_total.inc({ outcome: fate });
    if (this.#current === undefined) return;
    if (fate === 'refused') this.#current.writesRefused += 1;
    else if (fate === 'unknown') this.#current.writesUnknown += 1;
    else this.#current.writesJournaled += 1;
  }
}

function levelOf({ collection, operation }: Scope): string {
  if (collection === undefined) return 'database';
  return operation === undefined ? 'collection' : 'operation';
}
