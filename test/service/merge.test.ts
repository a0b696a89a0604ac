import { describe, expect, it } from 'vitest';
import type { Document } from '../../src/model/document.ts';
import { merge } from '../../src/service/merge.ts';
import { applyUpdate } from '../../src/store/update.ts';

const BASE = { _id: 't', name: 'Ada', rank: 1, active: true, note: 'old', tags: ['a'], at: 1 };
const meet = (update: Document, changed: Document) => {
  const current = { ...BASE, ...changed };
  const merged = merge({ update, base: BASE, current, free: new Set(['at']) });
  return { ...merged, document: applyUpdate(current, merged.update).document };
};

describe('a merge', () => {
  it('joins fields that only one side changed', () => {
    const { overlap, document } = meet({ $set: { name: 'Eve' } }, { rank: 2 });
    expect(overlap).toEqual([]);
    expect(document).toEqual({ ...BASE, name: 'Eve', rank: 2 });
  });

  it('does not set back what the other side changed, when the update only repeats the old value', () => {
    expect(meet({ $set: { name: 'Eve', rank: 1 } }, { rank: 2 })).toMatchObject({
      overlap: [],
      document: { name: 'Eve', rank: 2 },
    });
  });

  it.each([
    ['false', { $set: { active: false } }, { active: 'other' }, 'active'],
    ['0', { $set: { rank: 0 } }, { rank: 2 }, 'rank'],
    ["''", { $set: { note: '' } }, { note: 'new' }, 'note'],
    ['a removal', { $unset: { note: '' } }, { note: 'new' }, 'note'],
    ['what the other side made false', { $set: { active: 'x' } }, { active: false }, 'active'],
    ['what the other side removed', { $set: { note: 'mine' } }, { note: null }, 'note'],
  ])('takes %s for a value: both sides changed it', (_name, update, changed, field) => {
    expect(meet(update, changed).overlap).toEqual([field]);
  });

  it('finds nothing wrong when both sides made the same of a field, or one took away what was null', () => {
    expect(meet({ $set: { name: 'Eve' } }, { name: 'Eve' }).overlap).toEqual([]);
    expect(meet({ $unset: { note: '' } }, { note: null }).overlap).toEqual([]);
  });

  it('makes commutative operators on whatever is there', () => {
    const update = { $inc: { rank: 5 }, $addToSet: { tags: 'c' }, $set: { name: 'Eve' } };
    expect(meet(update, { rank: 10, tags: ['a', 'b'] })).toMatchObject({
      overlap: [],
      document: { rank: 15, tags: ['a', 'b', 'c'], name: 'Eve' },
    });
  });

  it('lets timestamps pass: both sides always set them', () => {
    expect(meet({ $set: { at: 3, name: 'Eve' } }, { at: 2 })).toMatchObject({ overlap: [], document: { at: 3 } });
  });

  it('looks at nested changes by their field', () => {
    const base = { _id: 't', address: { city: 'Rom', zip: '1' } };
    const current = { _id: 't', address: { city: 'Bern', zip: '1' } };
    const merged = merge({ update: { $set: { 'address.zip': '2' } }, base, current, free: new Set() });
    expect(merged.overlap).toEqual(['address']);
  });

  it('leaves an update that changes nothing any more', () => {
    expect(meet({ $set: { name: 'Ada' } }, { name: 'Eve' })).toMatchObject({ overlap: [], document: { name: 'Eve' } });
  });
});
