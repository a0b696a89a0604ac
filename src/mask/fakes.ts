import type { KeyObject } from 'node:crypto';
import { HoldfastError } from '../errors.ts';
import { PairMap } from '../util/pair-map.ts';
import { Draw } from './draw.ts';
import { type Bounds, type FakeKind, fakeOf } from './fake.ts';
import { fingerprint, type Originals, textOf } from './originals.ts';

/** Fakes drawn for one value before it is given up. */
const MAX_ATTEMPTS = 60;

/** What {@link Fakes} draw from. */
export interface FakesOptions {
  /** Without it nobody can draw the same fakes. */
  readonly key: KeyObject;
  /** Every value that will be masked; none of them becomes a fake. */
  readonly originals: Originals;
}

/**
 * The fakes of one data set. Equal values of a kind get equal fakes, different values different ones, and no fake is an original of its
 * kind or text that holds an original of any. A fake that would break this is drawn again; so the fakes of a few values depend on
 * which values came before them, and the same values in the same order give the same fakes.
 */
export class Fakes {
  readonly #key: KeyObject;
  readonly #originals: Originals;
  /** By the fingerprint of a fake, that of the value it stands for. */
  readonly #taken = new PairMap();

  constructor({ key, originals }: FakesOptions) {
    this.#key = key;
    this.#originals = originals;
  }

  /** @throws VALIDATION_FAILED when the type has too few values for every original to get another one */
  fakeFor(kind: FakeKind, value: unknown, bounds?: Bounds): unknown {
    const text = textOf(value);
    const [high, low] = fingerprint(kind, text);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const fake = fakeOf(kind, value, new Draw(this.#key, kind, text, attempt), attempt, bounds);
      if (this.#originals.survivesIn(kind, fake)) continue;
      const slot = this.#taken.slotFor(...fingerprint(kind, textOf(fake)));
      const [takenHigh, takenLow] = [this.#taken.high(slot), this.#taken.low(slot)];
      if (takenHigh === 0 && takenLow === 0) this.#taken.set(slot, high, low);
      else if (takenHigh !== high || takenLow !== low) continue;
      return fake;
    }
    const message = `there are too many different values to mask as ${kind}: each would need another fake; use NULL or TEXT for them`;
    throw new HoldfastError('VALIDATION_FAILED', message);
  }
}
