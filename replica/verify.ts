import { isHoldfastError } from '../src/errors.ts';
import type { DocumentText } from '../src/model/document.ts';
import { formatPosition, type Position } from '../src/model/position.ts';
import { Buckets } from '../src/protocol/digest.ts';
import type { CollectionDigest } from '../src/protocol/sync-source.ts';
import type { Work } from './work.ts';

/** How one document differs: not here, only here, or another one here. */
export const DifferenceKind = { MISSING: 'MISSING', EXTRA: 'EXTRA', DIFFERENT: 'DIFFERENT' } as const;
export type DifferenceKind = (typeof DifferenceKind)[keyof typeof DifferenceKind];

export interface Difference {
  readonly collection: string;
  /** Document text of the id. */
  readonly id: DocumentText;
  readonly kind: DifferenceKind;
}

export interface CollectionVerdict {
  readonly collection: string;
  readonly equal: boolean;
  /** Documents here. */
  readonly count: number;
  readonly sourceCount: number;
}

/** What a comparison with the source found. */
export interface Verdict {
  readonly equal: boolean;
  /** Both sides were compared exactly here. */
  readonly position: string;
  readonly collections: readonly CollectionVerdict[];
  /** The first 100, by id within the bucket. */
  readonly differences: readonly Difference[];
}

/** Most differences listed. */
const MAX_DIFFERENCES = 100;
/** Tries when the source no longer knows, or does not yet know, the position. */
const TRIES = 3;

/** One side of a comparison: the state here at one position. */
interface Here {
  readonly position: Position;
  readonly buckets: ReadonlyMap<string, Buckets>;
}

/**
 * Compares the documents here with the source's at one exact position, by the buckets kept up by each write. Deep first sets those
 * right by the stored rows, so that it also finds what was altered behind the store's back.
 * @throws PRIMARY_UNREACHABLE; CURSOR_EXPIRED when the source does not know our position after three tries.
 */
export async function verify(work: Work, applied: () => Position, deep: boolean): Promise<Verdict> {
  const altered = deep ? await scrub(work) : [];
  for (let tries = 1; ; tries++) {
    try {
      return await work.lock.run(async () => {
        await recount(work, altered);
        const here = kept(work, applied());
        const { digests } = await work.source.digests(here.position);
        return verdict(work, here, digests);
      });
    } catch (error) {
      if (!isHoldfastError(error, 'CURSOR_EXPIRED') || tries === TRIES) throw error;
    }
  }
}

function kept(work: Work, position: Position): Here {
  const { store, collections } = work.prepared;
  return { position, buckets: new Map(collections.map((name) => [name, store.buckets(name).clone()])) };
}

/** A bucket whose rows were altered behind the store's back. */
interface Altered {
  readonly collection: string;
  readonly bucket: number;
}

/** Reads every row. Frames are applied meanwhile: a connection that is not read for so long is given up by the source. */
async function scrub({ prepared: { store, collections } }: Work): Promise<readonly Altered[]> {
  const altered: Altered[] = [];
  for (const collection of collections) {
    // Of the state that is scrubbed: changes that come meanwhile are in neither.
    const kept = store.buckets(collection).clone();
    const { buckets } = await store.scrub(collection);
    altered.push(...kept.differing(buckets).map((bucket) => ({ collection, bucket })));
  }
  return altered;
}

/** Sets the digests of these buckets right, so that the comparison finds them, and a repair after it. */
async function recount({ database, prepared: { store } }: Work, altered: readonly Altered[]): Promise<void> {
  for (const { collection, bucket } of altered) {
    await database.transaction((transaction) => store.recount(transaction, collection, bucket));
  }
}

async function verdict(work: Work, here: Here, digests: readonly CollectionDigest[]): Promise<Verdict> {
  const theirs = new Map(digests.map((digest) => [digest.collection, digest]));
  const collections: CollectionVerdict[] = [];
  const differences: Difference[] = [];
  for (const [collection, buckets] of here.buckets) {
    const ours = buckets.digest();
    const digest = theirs.get(collection);
    const equal = ours.count === (digest?.count ?? 0) && (digest === undefined || ours.sum === digest.sum);
    collections.push({ collection, equal, count: ours.count, sourceCount: digest?.count ?? 0 });
    if (!equal) differences.push(...(await listed(work, here, collection, MAX_DIFFERENCES - differences.length)));
  }
  return {
    equal: collections.every(({ equal }) => equal),
    position: formatPosition(here.position),
    collections,
    differences,
  };
}

/** Document by document, of the buckets that differ. A document the source changed since our position may be among them. */
async function listed(work: Work, here: Here, collection: string, limit: number): Promise<readonly Difference[]> {
  const theirs = Buckets.fromBase64((await work.source.buckets(collection, here.position)).buckets);
  const found: Difference[] = [];
  for (const bucket of (here.buckets.get(collection) as Buckets).differing(theirs)) {
    if (found.length >= limit) break;
    const ours = new Map(work.prepared.store.bucketRows(collection, bucket).map(({ id, hash }) => [id, hash]));
    for (const { id, hash } of (await work.source.bucketRows(collection, bucket)).rows) {
      const local = ours.get(id);
      if (local === undefined) found.push({ collection, id, kind: 'MISSING' });
      else if (local !== hash) found.push({ collection, id, kind: 'DIFFERENT' });
      ours.delete(id);
    }
    for (const id of ours.keys()) found.push({ collection, id, kind: 'EXTRA' });
  }
  return found.slice(0, Math.max(0, limit));
}
