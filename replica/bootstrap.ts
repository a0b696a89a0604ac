import { documentHash } from '../src/model/change.ts';
import type { Row, SnapshotPage } from '../src/protocol/sync-source.ts';
import type { Transaction } from '../src/sqlite/database.ts';
import { requireOpen } from './guarded.ts';
import { nextPage, remaining, type Work } from './work.ts';

/** Rows of one page; the source also ends a page at 4 MiB of text. */
const PAGE_ROWS = 1_000;

/**
 * Pages every collection into the store, while frames are applied beside it: a row is taken only when it is newer than
 * the row or tombstone here. Goes on where the stored load says; the next page is asked for while one is written.
 */
export async function bootstrap(work: Work): Promise<void> {
  for (const collection of remaining(work)) {
    let next = nextPage(work, collection);
    let asked = ask(work, collection, next);
    for (;;) {
      const page = await asked;
      next = page.next;
      if (next !== null) asked = ask(work, collection, next);
      await work.database.transaction((transaction) => {
        requireOpen(work.signal);
        for (const row of page.rows) work.prepared.store.put(transaction, collection, row, 0);
        work.progress.saveLoad(transaction, { collection, next: page.next, paged: page.next === null });
        work.progress.settle(transaction, page.position);
      });
      work.counts.rows += page.rows.length;
      if (next === null) break;
    }
  }
}

/**
 * Pages one collection over what is here: a row takes the place of ours unless it is the same, be ours newer or not. The
 * applier stands still from asking to writing, so ours cannot be newer in the source's history.
 */
export async function overwrite(work: Work, collection: string): Promise<void> {
  for (let next = nextPage(work, collection), done = false; !done; ) {
    const page = await work.lock.run(async () => {
      const page = await work.source.snapshot(collection, next, PAGE_ROWS);
      await work.database.transaction((transaction) => {
        requireOpen(work.signal);
        for (const row of page.rows) replace(work, transaction, collection, row);
        // Not marked as paged: what is extra here remains to be removed.
        work.progress.saveLoad(transaction, { collection, next: page.next, paged: false });
        work.progress.settle(transaction, page.position);
      });
      return page;
    });
    work.counts.rows += page.rows.length;
    next = page.next;
    done = next === null;
  }
}

function ask(work: Work, collection: string, after: string | null): Promise<SnapshotPage> {
  const page = work.source.snapshot(collection, after, PAGE_ROWS);
  // Awaited after the page before is written: until then a failure has nobody to be told to.
  page.catch(() => {});
  return page;
}

function replace(work: Work, transaction: Transaction, collection: string, row: Row): void {
  const { store } = work.prepared;
  const hash = documentHash(collection, row.id, row.version, row.text);
  if (store.rowState(collection, row.id)?.hash !== hash) store.put(transaction, collection, row, 0, true);
}
