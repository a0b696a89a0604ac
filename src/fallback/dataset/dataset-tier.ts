import type { Store } from '../../store/store.ts';
import type { Coverage, Tier, TierSource } from '../tiers.ts';
import type { Dataset } from './open-dataset.ts';

/** A dataset as a tier. Which dataset it is may change; reads that began go on with the one they began with. */
export class DatasetTier implements Tier {
  readonly source: TierSource = 'SNAPSHOT';
  readonly #now: () => number;
  readonly #maxAgeMs: number;
  #dataset: Dataset | undefined;

  /** `now`: ms since 1970. Older than `maxAgeMs` it answers nothing. */
  constructor({
    now = Date.now,
    maxAgeMs = Number.POSITIVE_INFINITY,
  }: { now?: () => number; maxAgeMs?: number | undefined } = {}) {
    this.#now = now;
    this.#maxAgeMs = maxAgeMs;
  }

  get dataset(): Dataset | undefined {
    return this.#dataset;
  }

  use(dataset: Dataset): void {
    this.#dataset = dataset;
  }

  get store(): Store {
    if (this.#dataset === undefined) throw new Error('there is no dataset');
    return this.#dataset.store;
  }

  coverage(collection: string): Coverage {
    const part = this.#dataset?.manifest.collections[collection];
    if (part === undefined || this.stalenessMs() > this.#maxAgeMs) return 'NONE';
    return part.complete ? 'WHOLE' : 'PART';
  }

  stalenessMs(): number {
    const { capturedAt } = this.#dataset?.manifest ?? {};
    return capturedAt === undefined ? Number.POSITIVE_INFINITY : Math.max(0, this.#now() - Date.parse(capturedAt));
  }

  position(): null {
    return null;
  }

  maskedPaths(collection: string): readonly string[] {
    return this.#dataset?.manifest.collections[collection]?.masked ?? [];
  }
}
