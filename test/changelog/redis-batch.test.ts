import { describe, expect, it } from 'vitest';
import { batchLength, decodeBatch, encodeBatch } from '../../src/changelog/redis-batch.ts';
import type { LogEntry } from '../../src/model/change.ts';
import { chained, change, randomChanges } from '../support/entries.ts';
import { seededRandom } from '../support/random.ts';

const entries = chained([change(), change({ version: 2 }), change({ version: 3 })], 41);
const batch = encodeBatch(entries);

describe('a batch of changes', () => {
  it('is what was written, whatever the changes hold', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const written = chained(randomChanges(seededRandom(seed), 40), seed, undefined, seed);
      expect(decodeBatch(encodeBatch(written)), `seed ${seed}`).toEqual(written);
    }
  });

  it('stands under the place of its last change', () => {
    expect(batch.id).toBe('1-43');
    expect(encodeBatch(chained([change()], 7, undefined, 3)).id).toBe('3-7');
  });

  it.each([
    ['an id of another place', { id: '1-44' }],
    ['an id that is none', { id: 'x' }],
    ['text that is no JSON', { changes: '[' }],
    ['no list', { changes: '{}' }],
    ['no changes', { changes: '[]', images: '' }],
    ['fewer images than changes', { images: batch.images.split('\n').slice(1).join('\n') }],
    ['more images than changes', { images: `${batch.images}\n` }],
    ['a gap', { changes: batch.changes.replace('[42,', '[45,') }],
    ['an operation that there is not', { changes: batch.changes.replace('CREATED', 'toString') }],
    ['a version that is no number', { changes: batch.changes.replace(',2,', ',"2",') }],
    ['a chain that is no text', { changes: batch.changes.replace(`"${entries[0]?.chain}"`, 'null') }],
    ['a change of another length', { changes: batch.changes.replace('[41,', '[41,41,') }],
  ])('is refused with %s', (_what, damage) => {
    expect(decodeBatch({ ...batch, ...damage })).toBeUndefined();
  });
});

describe('the length of a batch', () => {
  it('is all that is dense and of one epoch', () => {
    expect(batchLength([])).toBe(0);
    expect(batchLength(entries)).toBe(3);
    const [first, , third] = entries as readonly [LogEntry, LogEntry, LogEntry];
    expect(batchLength([first, third])).toBe(1);
    expect(batchLength([first, { ...first, sequence: 42, epoch: 2 }])).toBe(1);
  });

  it('is bounded in changes and in bytes, but never nothing', () => {
    const many = chained(Array.from({ length: 501 }, () => change()));
    expect(batchLength(many)).toBe(500);
    const large = chained(Array.from({ length: 4 }, () => change({ image: `"${'x'.repeat(100 * 1024)}"` })));
    expect(batchLength(large)).toBe(2);
    expect(batchLength(chained([change({ image: `"${'x'.repeat(400 * 1024)}"` }), change()]))).toBe(1);
  });
});
