import { comparePositions, type Position } from '../src/model/position.ts';
import { waitForAdvance } from '../src/service/advance.ts';
import type { Clock } from '../src/util/clock.ts';
import { until } from './guarded.ts';
import type { Lag } from './lag.ts';
import type { LocalCopy } from './local-copy.ts';
import { isHalted, type State } from './state.ts';

export interface ReadinessOptions {
  readonly copy: LocalCopy;
  readonly lag: Lag;
  readonly state: () => State;
  readonly clock: Clock;
}

/** What may be read of a replica: whether it serves, is equal to its source, or has a position already. */
export class Readiness {
  /** Resolves when the replica may be read for the first time. */
  readonly ready: Promise<void>;
  readonly #options: ReadinessOptions;
  readonly #becameReady = Promise.withResolvers<void>();
  /** Resolves when no task is under way any more. */
  #idle = Promise.withResolvers<void>();

  constructor(options: ReadinessOptions) {
    this.#options = options;
    this.ready = this.#becameReady.promise;
  }

  /** Whether documents may be read here. */
  isReady(): boolean {
    const { copy } = this.#options;
    return copy.progress.facts.proven && copy.isPrepared;
  }

  /** Whether the documents here are those of the applied position. */
  isEqual(): boolean {
    const { copy, state } = this.#options;
    return this.isReady() && !this.#isBusy() && !isHalted(state()) && isSettled(copy);
  }

  /** See `Replica.has`. */
  has(position: Position): boolean {
    return !this.#isBusy() && comparePositions(this.#options.copy.position(), position) >= 0;
  }

  /** See `Replica.waitFor`. */
  async waitFor(position: Position, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.has(position)) return true;
    const { copy, clock } = this.#options;
    const timeout = new AbortController();
    const cancel = clock.after(timeoutMs, () => timeout.abort());
    const ended = AbortSignal.any([signal, timeout.signal]);
    try {
      while (!this.has(position) && !ended.aborted) {
        if (this.#isBusy()) await until(ended, () => this.#idle.promise).catch(() => {});
        else await waitForAdvance(copy.log, copy.position().sequence, ended);
      }
    } finally {
      cancel();
    }
    signal.throwIfAborted();
    return this.has(position);
  }

  /** State or facts changed: those who wait are told, and applying makes the data fresh, or does not. */
  changed(): void {
    const { lag, state } = this.#options;
    lag.freeze(!state().proven || this.#isBusy());
    if (this.isReady()) this.#becameReady.resolve();
    if (this.#isBusy()) return;
    this.#idle.resolve();
    this.#idle = Promise.withResolvers<void>();
  }

  /** A task is under way, or what is stored says so still. */
  #isBusy(): boolean {
    const { copy, state } = this.#options;
    return state().task !== null || copy.progress.facts.task !== null;
  }
}

/** Whether no row is ahead of the applied position. */
export function isSettled({ progress, log }: LocalCopy): boolean {
  return log.head().sequence >= progress.facts.settled.sequence;
}
