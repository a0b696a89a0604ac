import type { KeyObject } from 'node:crypto';
import { HoldfastError, isHoldfastError } from '../../errors.ts';
import type { Model } from '../../model/entity.ts';
import { type Clock, systemClock } from '../../util/clock.ts';
import { DatasetTier } from './dataset-tier.ts';
import type { Budget, DatasetSource } from './gather.ts';
import { openDataset } from './open-dataset.ts';
import { type Refreshed, refreshDataset } from './refresh.ts';

/** How often it is looked whether a new dataset is due, at most. A timer for months would be lost with the process. */
const LOOK_MS = 60_000;

export interface DatasetKeeperOptions {
  readonly model: Model;
  /** Directory of the datasets. */
  readonly out: string;
  /** Asked when the first dataset is made or opened. */
  readonly key: () => KeyObject;
  readonly budget: Budget;
  /** The database; undefined while it cannot be read. */
  readonly source: () => DatasetSource | undefined;
  /** A new dataset is due when the newest is so old. Default: never. */
  readonly everyMs?: number | undefined;
  /** Older ones answer nothing. Default: any age. */
  readonly maxAgeMs?: number | undefined;
  /** Told of datasets that are not used, and of refreshes of the schedule that failed. */
  readonly onError: (error: unknown) => void;
  readonly onRefreshed?: ((refreshed: Refreshed) => void) | undefined;
  readonly clock?: Clock | undefined;
  /** Ms since 1970. Default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/** How a keeper is; times are ISO 8601. */
export interface KeeperStatus {
  readonly running: boolean;
  /** Of the last refresh of this process, also when it still runs. */
  readonly startedAt: string | null;
  readonly lastError: string | null;
  /** When the dataset in use was captured. */
  readonly capturedAt: string | null;
  readonly documents: number;
}

/** Keeps a process supplied with datasets: opens the newest that can be used, and makes new ones on a schedule or when asked. */
export class DatasetKeeper implements AsyncDisposable {
  readonly tier: DatasetTier;
  readonly #options: DatasetKeeperOptions;
  readonly #now: () => number;
  readonly #end = new AbortController();
  #endLooking: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #startedAt: number | undefined;
  #lastError: string | null = null;

  constructor(options: DatasetKeeperOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.tier = new DatasetTier({ now: this.#now, maxAgeMs: options.maxAgeMs });
  }

  /** Opens the newest dataset there is, and begins to look whether another is due. */
  async run(): Promise<void> {
    await this.#open();
    const { everyMs, clock = systemClock } = this.#options;
    if (everyMs === undefined) return;
    this.#endLooking = clock.every(Math.min(LOOK_MS, everyMs), () => {
      const since = Math.min(this.tier.stalenessMs(), this.#now() - (this.#startedAt ?? Number.NEGATIVE_INFINITY));
      if (since >= everyMs && this.#running === undefined && this.#options.source() !== undefined) this.start();
    });
  }

  /**
   * Begins a refresh unless one runs; {@link status} shows how it goes.
   * @throws DATABASE_UNAVAILABLE when the database cannot be read
   */
  start(): KeeperStatus {
    const source = this.#options.source();
    if (source === undefined) {
      throw new HoldfastError('DATABASE_UNAVAILABLE', 'no dataset can be made: the database was not reached yet', {
        details: { retryAfterMs: 1_000 },
      });
    }
    if (this.#end.signal.aborted)
      throw new HoldfastError('SHUTTING_DOWN', 'no dataset is made: this process is stopping');
    this.#running ??= this.#refresh(source).finally(() => {
      this.#running = undefined;
    });
    return this.status();
  }

  status(): KeeperStatus {
    const manifest = this.tier.dataset?.manifest;
    const documents = Object.values(manifest?.collections ?? {}).reduce((sum, part) => sum + part.documents, 0);
    return {
      running: this.#running !== undefined,
      startedAt: this.#startedAt === undefined ? null : new Date(this.#startedAt).toISOString(),
      ...{ lastError: this.#lastError, capturedAt: manifest?.capturedAt ?? null, documents },
    };
  }

  /** Resolves when the refresh that runs is over, however it ended. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#endLooking?.();
    this.#end.abort(new HoldfastError('SHUTTING_DOWN', 'this process is stopping'));
    await this.#running;
    await this.tier.dataset?.[Symbol.asyncDispose]();
  }

  async #refresh(source: DatasetSource): Promise<void> {
    const { model, out, key, budget, onError, onRefreshed } = this.#options;
    this.#startedAt = this.#now();
    try {
      const { signal } = this.#end;
      const made = await refreshDataset({ source, model, out, key: key(), budget, signal, now: this.#now });
      this.#lastError = null;
      onRefreshed?.(made);
      await this.#open();
    } catch (error) {
      if (this.#end.signal.aborted) return;
      this.#lastError = isHoldfastError(error)
        ? error.message
        : 'it failed in a way nobody expected; the log says more';
      onError(error);
    }
  }

  /** None that can be used is no error here: the one in use stays, if there is one. */
  async #open(): Promise<void> {
    const { model, out, key, maxAgeMs, onError } = this.#options;
    const before = this.tier.dataset;
    try {
      const opened = await openDataset(out, { model, key: key(), maxAgeMs, now: this.#now, onRefused: onError });
      this.tier.use(opened);
      await before?.[Symbol.asyncDispose]();
    } catch (error) {
      if (!isHoldfastError(error, 'DATASET_REFUSED')) throw error;
    }
  }
}
