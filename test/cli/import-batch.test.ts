import { expect, it } from 'vitest';
import { Batcher, MAX_BYTES, MAX_ITEMS } from '../../src/cli/import-batch.ts';

const item = (line: number, bytes = 10) => ({ line, index: line - 1, json: 'x'.repeat(bytes) });

it('closes a batch at its largest number of documents', () => {
  const batcher = new Batcher();
  for (let line = 1; line <= MAX_ITEMS; line++) expect(batcher.add(item(line), line)).toBeUndefined();
  const batch = batcher.add(item(MAX_ITEMS + 1), 77);
  expect(batch).toMatchObject({ readBytes: 77 });
  expect(batch?.items.map(({ line }) => line)).toEqual(Array.from({ length: MAX_ITEMS }, (_, i) => i + 1));
  expect(batcher.rest(80)).toMatchObject({ items: [{ line: MAX_ITEMS + 1 }], readBytes: 80 });
  expect(batcher.rest(80)).toBeUndefined();
});

it('closes a batch before it exceeds its bytes', () => {
  const batcher = new Batcher();
  expect(batcher.add(item(1, MAX_BYTES / 2 - 1), 0)).toBeUndefined();
  expect(batcher.add(item(2, MAX_BYTES / 2 - 1), 0)).toBeUndefined();
  expect(batcher.add(item(3, 1), 0)?.items).toHaveLength(2);
});

it('lets a document larger than a batch travel alone', () => {
  const batcher = new Batcher();
  expect(batcher.add(item(1, MAX_BYTES * 2), 0)).toBeUndefined();
  expect(batcher.add(item(2), 0)?.items).toMatchObject([{ line: 1 }]);
});

it('counts bytes, not letters', () => {
  const batcher = new Batcher();
  batcher.add({ line: 1, index: 0, json: 'é'.repeat(MAX_BYTES / 2 - 10) }, 0);
  expect(batcher.add(item(2, 100), 0)?.items).toHaveLength(1);
});
