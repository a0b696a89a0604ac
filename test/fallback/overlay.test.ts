import { describe, expect, it } from 'vitest';
import { type OverlaidDocument, type Overlay, overlaid } from '../../src/fallback/overlay.ts';
import type { Question } from '../../src/fallback/question.ts';
import { placeOf } from '../../src/fallback/waiting.ts';
import type { Document } from '../../src/model/document.ts';
import type { Collection, FindOptions, Sort } from '../../src/store/store.ts';
import { seededRandom } from '../support/random.ts';
import { openSqliteStore } from '../support/sqlite-store.ts';

const THINGS = [{ name: 'things', indexes: [] }];

function asked<T>(overlay: Overlay, collection: Collection, ask: (collection: Collection) => Promise<T>) {
  let used = 0;
  const question = { collection: 'things', ask: (each: Collection) => ask(each) } as unknown as Question<T>;
  const answer = overlaid(question, overlay, () => used++).ask(collection, undefined);
  return answer.then((found) => ({ found, used: used > 0 }));
}

function overlayOf(documents: readonly OverlaidDocument[]): Overlay {
  return new Map(documents.map((each) => [placeOf('things', each.id), each]));
}

describe('overlaid', () => {
  it('answers as if the documents were there, whatever is asked', async () => {
    await using base = await openSqliteStore(THINGS);
    await using truth = await openSqliteStore(THINGS);
    const random = seededRandom(29);
    const some = (count: number): number => Math.floor(random() * count);
    const draw = (_id: number): Document => ({ _id, n: some(5), tags: [some(3), some(3)] });
    const below = Array.from({ length: 40 }, (_, _id) => draw(_id));
    const over = Array.from({ length: 25 }, (_, i): OverlaidDocument => {
      const id = 20 + i * 2;
      return { id, document: random() < 0.3 ? null : draw(id), isNew: id >= 38 };
    });
    const hidden = new Set(over.map(({ id }) => id));
    const there = over.flatMap(({ document }) => (document === null ? [] : [document]));
    await base.store.collection('things').insertMany(below);
    await truth.store.collection('things').insertMany([...below.filter(({ _id }) => !hidden.has(_id)), ...there]);
    const overlay = overlayOf(over);
    const filters: Document[] = [
      {},
      { n: 2 },
      { n: { $gt: 2 } },
      { tags: 1 },
      { _id: 22 },
      { $or: [{ n: 0 }, { tags: 2 }] },
    ];
    const sorts: (Sort | undefined)[] = [undefined, { n: 1, _id: 1 }, { n: -1, _id: -1 }, { _id: -1 }];
    for (let round = 0; round < 200; round++) {
      const filter = filters[some(filters.length)] as Document;
      const options: FindOptions = {
        ...{ sort: sorts[some(sorts.length)], skip: some(6), limit: random() < 0.3 ? undefined : some(12) },
        projection: random() < 0.3 ? { n: 1 } : undefined,
      };
      const questions: ((collection: Collection) => Promise<unknown>)[] = [
        (collection) => collection.find(filter, options).toArray(),
        (collection) => collection.findOne(filter, { sort: options.sort, skip: options.skip }),
        (collection) => collection.countDocuments(filter),
        (collection) => collection.findGrouped('tags', [0, 1, 9], filter, options),
      ];
      for (const question of questions) {
        const { found } = await asked(overlay, base.store.collection('things'), question);
        expect(found).toEqual(await question(truth.store.collection('things')));
      }
    }
  });

  it('says whether it made a difference', async () => {
    await using base = await openSqliteStore(THINGS);
    const things = base.store.collection('things');
    await things.insertMany([{ _id: 1 }, { _id: 2 }]);
    const overlay = overlayOf([{ id: 2, document: null }]);
    const one = (_id: number) => asked(overlay, things, (collection) => collection.findOne({ _id }));
    expect(await one(1)).toEqual({ found: { _id: 1 }, used: false });
    expect(await one(2)).toEqual({ found: null, used: true });
    expect(await asked(overlay, things, (collection) => collection.countDocuments({}))).toEqual({
      found: 1,
      used: true,
    });
  });
});
