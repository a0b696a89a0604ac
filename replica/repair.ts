import type { DocumentText } from '../src/model/document.ts';
import { Buckets } from '../src/protocol/digest.ts';
import type { BucketRows, Row } from '../src/protocol/sync-source.ts';
import { overwrite } from './bootstrap.ts';
import { requireOpen } from './guarded.ts';
import { nextPage, remaining, type Work } from './work.ts';

/** Past this part of the buckets, paging the collection is cheaper than asking bucket by bucket. */
const PAGING_SHARE = 0.6;
/** Buckets repaired in one hold of the applier. */
const GROUP_BUCKETS = 16;
/** Rows asked for at once, at most; halved when the source or the connection does not manage. */
const MAX_ROWS = 256;

/**
 * Makes every collection equal to the source's by fetching only what differs, while frames are applied in between. Serves
 * resync and repair alike; SPEC.md section 3.
 */
export class Repair {
  /** Outlives connections: rows so large that an answer broke one are asked for in smaller numbers on the next. */
  #maxRows = MAX_ROWS;

  async run(work: Work): Promise<void> {
    for (const collection of remaining(work)) {
      // Paging had begun before the connection was lost: it was worth it then.
      if (nextPage(work, collection) !== null) await overwrite(work, collection);
      else if ((await differing(work, collection)).length > PAGING_SHARE * Buckets.SIZE)
        await overwrite(work, collection);
      const buckets = await differing(work, collection);
      for (let start = 0; start < buckets.length; start += GROUP_BUCKETS) {
        await work.lock.run(() => this.#repair(work, collection, buckets.slice(start, start + GROUP_BUCKETS)));
      }
      await work.database.transaction((transaction) => {
        requireOpen(work.signal);
        work.progress.saveLoad(transaction, { collection, next: null, paged: true });
      });
    }
  }

  async #repair(work: Work, collection: string, buckets: readonly number[]): Promise<void> {
    const { source, prepared } = work;
    const lists = await Promise.all(buckets.map((bucket) => source.bucketRows(collection, bucket)));
    const { wanted, extra } = compare(work, collection, buckets, lists);
    if (wanted.length === 0 && extra.length === 0) return;
    const rows = await this.#fetch(work, collection, wanted);
    // Rows may be newer than the lists: their position is known from here on only.
    const { position } = await source.digests(null);
    await work.database.transaction((transaction) => {
      requireOpen(work.signal);
      // First out, then in: an id written as another type of number (1, 1.0) is extra and missing at once.
      for (const { id, version } of extra) prepared.store.remove(transaction, collection, id, version, 0, true);
      for (const row of rows) prepared.store.put(transaction, collection, row, 0, true);
      work.progress.settle(transaction, position);
    });
    work.counts.repaired += rows.length + extra.length;
  }

  async #fetch(work: Work, collection: string, ids: readonly DocumentText[]): Promise<Row[]> {
    const rows: Row[] = [];
    for (let start = 0; start < ids.length; ) {
      const asked = ids.slice(start, start + this.#maxRows);
      try {
        rows.push(...(await work.source.rows(collection, asked)));
      } catch (error) {
        this.#maxRows = Math.max(1, this.#maxRows >> 1);
        throw error;
      }
      start += asked.length;
      this.#maxRows = Math.min(MAX_ROWS, this.#maxRows + 1);
    }
    return rows;
  }
}

/** The buckets of `collection` that are not the same here and at the source. */
async function differing(work: Work, collection: string): Promise<number[]> {
  const { buckets } = await work.source.buckets(collection, null);
  return work.prepared.store.buckets(collection).differing(Buckets.fromBase64(buckets));
}

/** What to fetch and what to remove. The applier stands still, so nothing here is newer than the lists. */
function compare(
  work: Work,
  collection: string,
  buckets: readonly number[],
  lists: readonly BucketRows[],
): { readonly wanted: DocumentText[]; readonly extra: { readonly id: DocumentText; readonly version: number }[] } {
  const wanted: DocumentText[] = [];
  const extra: { readonly id: DocumentText; readonly version: number }[] = [];
  for (const [index, bucket] of buckets.entries()) {
    const ours = new Map(work.prepared.store.bucketRows(collection, bucket).map((row) => [row.id, row]));
    for (const { id, hash } of lists[index]?.rows ?? []) {
      if (ours.get(id)?.hash !== hash) wanted.push(id);
      ours.delete(id);
    }
    extra.push(...ours.values());
  }
  return { wanted, extra };
}
