import { Decimal128, Long, ObjectId } from 'bson';
import { expect, it } from 'vitest';
import type { Document } from '../../../src/model/document.ts';
import { compileFilter } from '../../../src/store/filter.ts';
import { compileSort } from '../../../src/store/sort.ts';
import type { Filter, Sort } from '../../../src/store/store.ts';
import { seededRandom } from '../../support/random.ts';
import { indexed, type OpenStore, PLAIN, people, type StoreFixture } from './fixture.ts';

const INDEXES = indexed({ a: ['a'], b: ['b'], nested: ['a.x'], ab: ['a', 'b'], bc: ['b', 'c'], cid: ['c', '_id'] });
const PATHS = ['a', 'b', 'c', 'a.x', 'a.0', '_id'];

type Random = (count: number) => number;

function choose<T>(random: Random, items: readonly T[]): T {
  return items[random(items.length)] as T;
}

function randomValue(random: Random, depth = 0): unknown {
  const scalars: (() => unknown)[] = [
    () => random(6),
    () => random(6),
    () => random(6) - 2.5,
    () => Long.fromNumber(random(6)),
    () => Decimal128.fromString(`${random(4)}.5`),
    () => choose(random, ['', 'a', 'ab', 'b', 'B', 'z\u0000', '\u00e9']),
    () => choose(random, ['', 'a', 'ab', 'b']),
    () => null,
    () => random(2) === 0,
    () => new Date(random(3)),
    () => new ObjectId(`65f0c0ffee65f0c0ffee65f${random(3)}`),
    () => Number.NaN,
  ];
  const kind = random(depth === 0 ? 20 : 14);
  if (kind < scalars.length) return scalars[kind]?.();
  if (kind % 2 === 0) return Array.from({ length: random(4) }, () => randomValue(random, depth + 1));
  return { x: randomValue(random, depth + 1), ...(random(2) === 0 ? { y: random(3) } : {}) };
}

/** A value as all documents have it at `path`: for servers that know no order among types. */
function uniformValue(random: Random, path: string): unknown {
  if (path === 'b') return choose(random, ['', 'a', 'ab', 'b', 'B', '\u00e9']);
  return path === 'c' ? new Date(random(6)) : choose(random, [0, 1, 2, 2.5, 3, Long.fromNumber(4)]);
}

/** What documents and filters are made of. */
interface Kind {
  readonly paths: readonly string[];
  /** Most fields of a sort: MongoDB sorts by one field with arrays only. */
  readonly sortFields: number;
  readonly value: (random: Random, path: string, depth?: number) => unknown;
}

const MIXED: Kind = { paths: PATHS, sortFields: 2, value: (random, _path, depth) => randomValue(random, depth) };
const UNIFORM: Kind = { paths: ['a', 'b', 'c', '_id'], sortFields: 2, value: uniformValue };

function kindFor({ store, mixedTypes = true }: StoreFixture, flat: boolean): Kind {
  if (!mixedTypes) return UNIFORM;
  return store.capabilities.transactionalLog || flat ? MIXED : { ...MIXED, sortFields: 1 };
}

function randomDocument(random: Random, _id: number, kind: Kind): Document {
  const document: Document = { _id };
  for (const field of ['a', 'b', 'c']) if (random(6) > 0) document[field] = kind.value(random, field);
  return document;
}

function randomCondition(random: Random, path: string, kind: Kind): unknown {
  const value = () => kind.value(random, path);
  const scalar = () => kind.value(random, path, 9);
  return choose<() => unknown>(random, [
    () => scalar(),
    () => ({ $eq: value() }),
    () => ({ $ne: value() }),
    () => ({ $gt: scalar() }),
    () => ({ $gte: scalar(), $lt: scalar() }),
    () => ({ $lte: scalar() }),
    () => ({ $gt: random(4), $lt: random(8) }),
    () => ({ $in: [scalar(), scalar(), value()] }),
    () => ({ $nin: [scalar(), scalar()] }),
    () => ({ $exists: random(2) === 0 }),
    () => (kind === UNIFORM ? { $exists: true } : { $all: [scalar(), scalar()] }),
    () => ({ $size: random(3) }),
    () => ({ $not: { $gt: scalar() } }),
    () => ({ $regex: choose(random, ['^a', 'b', '^$']) }),
    () => ({ $elemMatch: { $gt: random(4), $lt: random(8) } }),
    () => ({ $type: choose(random, ['number', 'string', 'array', 'null']) }),
    () => null,
  ])();
}

function randomFilter(random: Random, kind: Kind, depth = 0): Filter {
  const fields = Array.from({ length: random(3) }, () => {
    const path = choose(random, kind.paths);
    return [path, randomCondition(random, path, kind)];
  });
  const filter: Filter = Object.fromEntries(fields);
  if (depth < 2 && random(4) === 0) {
    filter[choose(random, ['$and', '$or', '$nor'])] = [
      randomFilter(random, kind, depth + 1),
      randomFilter(random, kind, depth + 1),
    ];
  }
  return filter;
}

function randomSort(random: Random, { paths, sortFields }: Kind): Sort | undefined {
  if (random(3) === 0) return undefined;
  const fields = Array.from({ length: 1 + random(sortFields) }, () => [
    choose(random, paths),
    random(2) === 0 ? 1 : -1,
  ]);
  return Object.fromEntries(fields) as Sort;
}

export function queryContract(open: OpenStore): void {
  for (const seed of [11, 12, 13, 14]) {
    it(`answers the same with indexes, without, and as the plain functions do (seed ${seed})`, async () => {
      const next = seededRandom(seed);
      const random: Random = (count) => Math.floor(next() * count);
      // The first collection has no arrays, so that its indexes may sort and decide alone.
      const flat = seed % 2 === 0;
      await using plain = await open(PLAIN);
      await using withIndexes = await open(INDEXES);
      const kind = kindFor(plain, flat);
      const documents = Array.from({ length: 150 }, (_, _id) => randomDocument(random, _id, kind)).filter(
        (document) => !flat || !JSON.stringify(document).includes('['),
      );
      for (const fixture of [plain, withIndexes]) {
        await people(fixture).insertMany(documents);
        await people(fixture).deleteMany({ _id: { $mod: [10, 3] } });
        await people(fixture).updateMany({ _id: { $mod: [10, 4] } }, { $set: { a: seed, b: { x: 1 } } });
      }
      const stored = await people(plain).find({}).toArray();
      for (let round = 0; round < 250; round++) {
        const filter = randomFilter(random, kind);
        const sort = randomSort(random, kind);
        const skip = random(3) === 0 ? random(20) : undefined;
        const limit = random(2) === 0 ? random(20) : undefined;
        const order = compileSort({ ...sort, ...(sort !== undefined && '_id' in sort ? {} : { _id: 1 }) });
        const matching = stored.filter(compileFilter(filter)).sort(order);
        const wanted = matching.slice(skip ?? 0, (skip ?? 0) + (limit ?? matching.length));
        const question = `${JSON.stringify(filter)} ${JSON.stringify({ sort, skip, limit })}`;
        for (const fixture of [plain, withIndexes]) {
          const found = await people(fixture).find(filter, { sort, skip, limit }).toArray();
          expect(
            found.map(({ _id }) => _id),
            question,
          ).toEqual(wanted.map(({ _id }) => _id));
          expect(await people(fixture).countDocuments(filter), question).toBe(matching.length);
        }
      }
    });

    it(`groups the same with indexes and without (seed ${seed})`, async () => {
      const next = seededRandom(seed);
      const random: Random = (count) => Math.floor(next() * count);
      await using plain = await open(PLAIN);
      await using withIndexes = await open(INDEXES);
      const kind = kindFor(plain, false);
      const documents = Array.from({ length: 100 }, (_, _id) => randomDocument(random, _id, kind));
      for (const fixture of [plain, withIndexes]) await people(fixture).insertMany(documents);
      for (let round = 0; round < 50; round++) {
        const path = choose(random, kind === UNIFORM ? ['a', 'b', '_id'] : ['a', 'b', 'a.x', '_id']);
        const keys = Array.from({ length: 4 }, () => kind.value(random, path));
        const filter = random(2) === 0 ? {} : randomFilter(random, kind);
        const options = { sort: randomSort(random, kind), skip: random(2), limit: 1 + random(5) };
        const wanted = [];
        for (const key of keys) {
          const both = { $and: [{ [path]: { $eq: key } }, filter] };
          wanted.push(await people(plain).find(both, options).toArray());
        }
        const question = JSON.stringify({ path, keys, filter, ...options });
        expect(await people(plain).findGrouped(path, keys, filter, options), question).toEqual(wanted);
        expect(await people(withIndexes).findGrouped(path, keys, filter, options), question).toEqual(wanted);
      }
    });
  }

  it('reads a large collection through an index in the order of the sort', async () => {
    await using fixture = await open(indexed({ n: ['n'], gm: ['g', 'm'] }));
    const documents = Array.from({ length: 2_500 }, (_, _id) => ({
      _id,
      n: (_id * 7) % 2_503,
      g: _id % 2,
      m: _id % 10,
    }));
    await people(fixture).insertMany(documents);
    const check = async (filter: Filter, sort: Sort, skip: number, limit: number) => {
      const wanted = documents.filter(compileFilter(filter)).sort(compileSort({ ...sort, _id: sort._id ?? 1 }));
      expect(await people(fixture).find(filter, { sort, skip, limit }).toArray()).toEqual(
        wanted.slice(skip, skip + limit),
      );
    };
    await check({}, { n: 1 }, 5, 20);
    await check({}, { n: -1 }, 0, 20);
    await check({ g: { $gte: 0 } }, { n: -1 }, 3, 20);
    await check({ g: 1 }, { m: 1 }, 100, 50);
    await check({ g: 1 }, { m: -1, _id: 1 }, 240, 30);
    await check({ g: { $in: [0, 1] } }, { g: -1, m: 1 }, 1_249, 4);
    await check({ g: 1, m: { $gt: 2, $lt: 6 } }, { m: -1, _id: -1 }, 0, 2_000);
    expect(await people(fixture).countDocuments({ g: 1 })).toBe(1_250);
  });
}
