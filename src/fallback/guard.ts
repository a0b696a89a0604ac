import { type Clock, systemClock } from '../util/clock.ts';
import { Breaker, type BreakerEffect, type BreakerEvent, type ScopeStatus } from './breaker.ts';
import type { BreakerSettings } from './breaker-settings.ts';
import { classify, type Fault } from './classify.ts';
import { DeadlineError, Deadlines } from './deadline.ts';
import { isWithin, type Operation, type Scope, scopeName } from './scope.ts';

/** Ends a read when its scope opens: it need not wait for its own deadline. */
export class RescuedError extends Error {
  override readonly name = 'RescuedError';
}

export interface GuardOptions {
  /** Asks the database about a scope, all of it or reading one collection; throws when it is not well. Given up after `probeMs`. */
  readonly probe: (scope: Scope, signal: AbortSignal) => Promise<void>;
  /** Brings to the database what waited for it, before a scope closes. Default: nothing waits. */
  readonly recover?: ((scope: Scope) => Promise<void>) | undefined;
  readonly onOpened?: ((opened: Extract<BreakerEffect, { type: 'OPENED' }>) => void) | undefined;
  readonly onClosed?: ((scope: Scope) => void) | undefined;
  /** Told how many reads were rescued when a scope opened. */
  readonly onRescued?: ((count: number) => void) | undefined;
  /** Told that the database refuses us for a mistake in the configuration, and why; null when it takes a call again. */
  readonly onMisconfigured?: ((cause: string | null) => void) | undefined;
  readonly breaker?: Partial<BreakerSettings> | undefined;
  /** Deadline of a probe, in ms. Default 400. */
  readonly probeMs?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: (() => number) | undefined;
}

/** A call of the database. */
export interface GuardedCall<T> {
  readonly collection: string;
  readonly operation: Operation;
  /** Longest wait, in ms. */
  readonly ms: number;
  /** A timeout after less than this says nothing about the database: the call did not get its time. Default: `ms`. */
  readonly fairMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly work: (signal: AbortSignal) => Promise<T>;
}

/** CLOSED: every call goes to the database. PARTLY: some do not. OPEN: none does. */
export type GuardState = 'CLOSED' | 'PARTLY' | 'OPEN';

interface Tag {
  readonly collection: string;
  readonly operation: Operation;
}

const PROBE_TAG: Tag = { collection: '', operation: 'WRITE' };

/** Runs a {@link Breaker}: every call of the database goes through here, and tells it how it ended. */
export class Guard {
  readonly #options: GuardOptions;
  readonly #clock: Clock;
  readonly #breaker: Breaker;
  readonly #deadlines: Deadlines<Tag>;
  readonly #end = new AbortController();
  #callOff: (() => void) | undefined;
  #misconfigured = false;
  #tickMs = Number.POSITIVE_INFINITY;

  constructor(options: GuardOptions) {
    const { clock = systemClock, breaker = {}, random = Math.random } = options;
    this.#options = options;
    this.#clock = clock;
    this.#breaker = new Breaker(breaker, random);
    this.#deadlines = new Deadlines({ clock });
  }

  /** Whether a call may go to the database now. */
  admits(collection: string, operation: Operation): boolean {
    return this.#breaker.admits(collection, operation);
  }

  /** Runs a call, whatever {@link admits} says. @throws what it throws; DeadlineError; RescuedError (reads); the signal's reason */
  async run<T>({ collection, operation, ms, fairMs = ms, signal, work }: GuardedCall<T>): Promise<T> {
    const sinceMs = this.#clock.now();
    try {
      const result = await this.#deadlines.run({ tag: { collection, operation }, ms, signal }, work);
      this.#step({ type: 'SUCCEEDED', collection, operation });
      if (this.#misconfigured) this.#options.onMisconfigured?.(null);
      this.#misconfigured = false;
      return result;
    } catch (error) {
      if (signal?.aborted !== true && !(error instanceof RescuedError)) {
        this.#failed(error, collection, operation, sinceMs, this.#clock.now() - sinceMs >= fairMs);
      }
      throw error;
    }
  }

  /** The database was never reached: everything is open until a probe finds it. */
  lost(cause: string): void {
    this.#step({ type: 'LOST', cause });
  }

  force(scope: Scope, state: 'OPEN' | 'CLOSED'): void {
    this.#step({ type: 'FORCE', scope, state });
  }

  release(scope: Scope): void {
    this.#step({ type: 'RELEASE', scope });
  }

  /** The database, first, and every other scope that is not simply closed. */
  status(): ScopeStatus[] {
    return this.#breaker.status();
  }

  get state(): GuardState {
    const isOpen = ({ state, forced }: ScopeStatus): boolean => (forced ?? state) !== 'CLOSED';
    const [database, ...others] = this.status() as [ScopeStatus, ...ScopeStatus[]];
    return isOpen(database) ? 'OPEN' : others.some(isOpen) ? 'PARTLY' : 'CLOSED';
  }

  /** Calls of the database under way, probes too. */
  get inFlight(): number {
    return this.#deadlines.size;
  }

  /** Probes no more. Calls under way end as they will. */
  stop(): void {
    this.#end.abort();
    this.#callOff?.();
    this.#callOff = undefined;
  }

  #failed(error: unknown, collection: string, operation: Operation, sinceMs: number, fair: boolean): void {
    const fault = classify(error);
    if (fault.class === 'CONFIG') {
      if (!this.#misconfigured) this.#options.onMisconfigured?.(causeOf(error, fault));
      this.#misconfigured = true;
    }
    const answered = fault.class === 'CALLER';
    const unfair = error instanceof DeadlineError && (error.stalled || !fair);
    if (answered) this.#step({ type: 'SUCCEEDED', collection, operation });
    if (fault.evidence === 'NONE' || unfair) return;
    this.#step({
      type: 'FAILED',
      collection,
      operation,
      evidence: fault.evidence,
      sinceMs,
      cause: causeOf(error, fault),
    });
  }

  #step(event: BreakerEvent): void {
    const effects = this.#breaker.step(event, this.#clock.now());
    for (const effect of effects) this.#carryOut(effect);
    if (event.type !== 'SUCCEEDED') this.#setTimer();
  }

  #carryOut(effect: BreakerEffect): void {
    const { scope } = effect;
    switch (effect.type) {
      case 'OPENED':
        this.#options.onOpened?.(effect);
        this.#rescue(scope);
        break;
      case 'CLOSED':
        this.#options.onClosed?.(scope);
        break;
      case 'PROBE':
        void this.#probe(scope, effect.number);
        break;
      case 'RECOVER':
        void this.#recover(scope);
        break;
    }
  }

  /** Reads are answered elsewhere at once. Writes wait for their answer: what became of them is not known otherwise. */
  #rescue(scope: Scope): void {
    const count = this.#deadlines.end(
      (tag) => tag.operation === 'READ' && isWithin(scope, tag.collection, tag.operation),
      () => new RescuedError(`the breaker of ${scopeName(scope)} opened`),
    );
    if (count > 0) this.#options.onRescued?.(count);
  }

  async #probe(scope: Scope, number: number): Promise<void> {
    const { probe, probeMs = 400 } = this.#options;
    const { signal } = this.#end;
    const report = (result: 'OK' | 'FAILED' | 'INCONCLUSIVE', cause?: string): void => {
      if (!signal.aborted) this.#step({ type: 'PROBED', scope, number, result, ...(cause && { cause }) });
    };
    try {
      await this.#deadlines.run({ tag: PROBE_TAG, ms: probeMs, signal }, (ended) => probe(scope, ended));
      report('OK');
    } catch (error) {
      if (error instanceof DeadlineError && error.stalled) return report('INCONCLUSIVE');
      const fault = classify(error);
      // An answer is an answer: that the user may not ask this is no outage.
      if (fault.class === 'CALLER' || fault.class === 'CONFIG') report('OK');
      else report('FAILED', causeOf(error, fault));
    }
  }

  async #recover(scope: Scope): Promise<void> {
    const done = (ok: boolean): void => {
      if (!this.#end.signal.aborted) this.#step({ type: 'RECOVERED', scope, ok });
    };
    if (this.#options.recover === undefined) return done(true);
    try {
      await this.#options.recover(scope);
      done(true);
    } catch {
      done(false);
    }
  }

  #setTimer(): void {
    const tickMs = this.#breaker.nextTickMs();
    if (this.#end.signal.aborted || tickMs === this.#tickMs) return;
    this.#callOff?.();
    this.#callOff = undefined;
    this.#tickMs = tickMs;
    if (tickMs === Number.POSITIVE_INFINITY) return;
    this.#callOff = this.#clock.after(Math.max(0, Math.ceil(tickMs - this.#clock.now())), () => {
      this.#tickMs = Number.POSITIVE_INFINITY;
      this.#callOff = undefined;
      this.#step({ type: 'TICK' });
    });
  }
}

/** Why, for people: what failed first. */
function causeOf(error: unknown, fault: Fault): string {
  let first = error;
  while (first instanceof Error && first.cause instanceof Error) first = first.cause;
  const { name, message, code } = first as { name?: string; message?: string; code?: unknown };
  const coded = typeof code === 'string' || typeof code === 'number' ? ` ${code}` : '';
  return `${fault.class}: ${name ?? 'error'}${coded}: ${message ?? String(first)}`;
}
