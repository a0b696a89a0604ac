import { hash } from 'node:crypto';
import { plainValue } from '../model/scalars.ts';
import { PairMap } from '../util/pair-map.ts';
import type { FakeKind } from './fake.ts';
import { LeakIndex } from './leak-index.ts';

/** The values that are to be masked, as far as they were met: no fake may be one of them. */
export class Originals {
  readonly #values = new PairMap();
  /** Those that are text, to be found inside other text. */
  readonly texts = new LeakIndex();

  /** Distinct values of each kind together. */
  get size(): number {
    return this.#values.size;
  }

  add(kind: FakeKind, value: unknown): void {
    const before = this.#values.size;
    const text = textOf(value);
    this.#values.slotFor(...fingerprint(kind, text));
    if (typeof value === 'string' && this.#values.size > before) this.texts.add(text);
  }

  /** Whether `value` is an original of its kind, or text that holds one of any kind. */
  survivesIn(kind: FakeKind, value: unknown): boolean {
    const text = textOf(value);
    if (this.#values.slotOf(...fingerprint(kind, text)) !== -1) return true;
    return typeof value === 'string' && this.texts.find(text) !== undefined;
  }
}

/** One text for each value; equal for numbers that are equal whatever their BSON type. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : String(plainValue(value));
}

/** 64 bits of a digest of a value, as two halves. */
export function fingerprint(kind: FakeKind, text: string): [number, number] {
  const digest = hash('sha256', `${kind}\0${text}`, 'buffer');
  return [digest.readUInt32BE(0), digest.readUInt32BE(4)];
}
