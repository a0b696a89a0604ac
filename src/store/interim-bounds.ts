import type { Document } from '../model/document.ts';
import { keyOf } from './key.ts';
import { valuesAt } from './path.ts';
import type { Filter } from './store.ts';

export interface KeyRange {
  readonly low: Uint8Array;
  readonly high: Uint8Array;
}
export interface Bounds {
  readonly ranges: readonly KeyRange[];
  readonly exact: boolean;
}

/** Bounds of an equality with a string, number or boolean. */
export function boundsOf(filter: Filter, path: string): Bounds | undefined {
  const condition = filter[path] as unknown;
  const value = typeof condition === 'object' && condition !== null ? (condition as Filter).$eq : condition;
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const low = keyOf(value);
  return { ranges: [{ low, high: Buffer.concat([low, Uint8Array.of(0xff)]) }], exact: false };
}

export function indexKeys(document: Document, path: string): Uint8Array[] {
  const keys = new Map(
    valuesAt(document, path).map((value) => [Buffer.from(keyOf(value)).toString('latin1'), keyOf(value)]),
  );
  return keys.size === 0 ? [keyOf(null)] : [...keys.values()];
}
