import { describe } from 'vitest';
import { bulkContract } from './store/bulk.ts';
import type { OpenStore } from './store/fixture.ts';
import { historyContract } from './store/history.ts';
import { idempotencyContract } from './store/idempotency.ts';
import { indexContract } from './store/indexes.ts';
import { queryContract } from './store/queries.ts';
import { readContract } from './store/reads.ts';
import { writeContract } from './store/writes.ts';

/** What every store must do; `open` gives a new, empty one for each test. */
export function storeContract(name: string, open: OpenStore): void {
  describe(name, () => {
    describe('reads', () => readContract(open));
    describe('queries', () => queryContract(open));
    describe('writes of one document', () => writeContract(open));
    describe('writes of many documents', () => bulkContract(open));
    describe('idempotency', () => idempotencyContract(open));
    describe('indexes', () => indexContract(open));
    describe('the change log of the store', () => historyContract(open));
  });
}
