import { describe, expect, it } from 'vitest';
import { type DriverFind, planFind, planPipeline } from '../../../src/fallback/client/plan.ts';
import { compileFilter } from '../../../src/store/filter.ts';

/** One filter for each operator that filters of MongoDB may have, known here or not. */
const FILTERS: readonly Record<string, unknown>[] = [
  ...[{ $and: [{}] }, { $or: [{}] }, { $nor: [{}] }, { $comment: 'x' }, { $where: '1' }, { $expr: {} }],
  ...[{ $text: { $search: 'x' } }, { $jsonSchema: {} }, { $sampleRate: 0.5 }, { a: { $eq: 1 } }, { a: { $ne: 1 } }],
  ...[{ a: { $gt: 1 } }, { a: { $gte: 1 } }, { a: { $lt: 1 } }, { a: { $lte: 1 } }, { a: { $in: [1] } }],
  ...[{ a: { $nin: [1] } }, { a: { $exists: true } }, { a: { $type: 'int' } }, { a: { $regex: 'x', $options: 'i' } }],
  ...[{ a: { $size: 1 } }, { a: { $mod: [2, 0] } }, { a: { $all: [1] } }, { a: { $elemMatch: { b: 1 } } }],
  ...[{ a: { $elemMatch: { $gt: 1 } } }, { a: { $elemMatch: { $or: [{ b: 1 }] } } }, { a: { $not: { $gt: 1 } } }],
  ...[
    { a: { $near: [1, 2] } },
    { a: { $geoWithin: {} } },
    { a: { $geoIntersects: {} } },
    { a: { $nearSphere: [1, 2] } },
  ],
  ...[{ a: { $bitsAllSet: 1 } }, { a: { $bitsAnySet: 1 } }, { a: { $bitsAllClear: 1 } }, { a: { $bitsAnyClear: 1 } }],
  ...[
    { $or: [{ a: { $bitsAllSet: 1 } }] },
    { a: { $not: { $bitsAllSet: 1 } } },
    { a: { $elemMatch: { b: { $near: [1] } } } },
  ],
  ...[{ a: /x/ }, { a: null }, { a: new Date() }, { a: [1] }, { a: { b: 1 } }],
];

describe('planFind', () => {
  it.each(FILTERS)('knows what copies can filter by: %o', (filter) => {
    const isRefused = (work: () => unknown): boolean => {
      try {
        work();
        return false;
      } catch (error) {
        expect(error).toMatchObject({ code: 'UNSUPPORTED_OPERATOR', details: { operator: expect.any(String) } });
        return true;
      }
    };
    expect(isRefused(() => planFind(filter, {}))).toBe(isRefused(() => compileFilter(filter)));
  });

  it('takes limits as the driver does', () => {
    expect(planFind({}, { limit: 0 })).toMatchObject({ limit: undefined });
    expect(planFind({}, { limit: -2, skip: 1 })).toMatchObject({ limit: 2, skip: 1 });
  });

  it.each<[string, object]>([
    ['collation', { collation: { locale: 'de' } }],
    ['min', { min: { a: 1 } }],
    ['returnKey', { returnKey: true }],
    ['tailable', { tailable: true }],
    ['readConcern linearizable', { readConcern: { level: 'linearizable' } }],
    ['$natural', { sort: { $natural: 1 } }],
    ['$meta', { sort: new Map([['score', { $meta: 'textScore' }]]) }],
    ['$elemMatch', { projection: { a: { $elemMatch: { b: 1 } } } }],
    ['$', { projection: { 'a.$': 1 } }],
    ['b', { projection: { b: '$a' } }],
  ])('refuses %s', (operator, options) => {
    expect(() => planFind({}, options as DriverFind)).toThrow(expect.objectContaining({ details: { operator } }));
  });

  it('refuses a filter that is no document', () => {
    for (const filter of [[], null, 'x', new Map()]) expect(() => planFind(filter, {})).toThrow();
  });
});

describe('planPipeline', () => {
  it('joins matches, in whatever order with the sort', () => {
    const plan = planPipeline(
      [{ $match: { a: 1 } }, { $sort: { b: 1 } }, { $match: { c: 1 } }, { $skip: 2 }, { $limit: 3 }],
      {},
    );
    expect(plan).toMatchObject({ filter: { $and: [{ a: 1 }, { c: 1 }] }, sort: { b: 1 }, skip: 2, limit: 3 });
  });

  it('counts', () => {
    expect(planPipeline([{ $count: 'n' }], {}).count?.(3)).toEqual({ n: 3 });
    expect(planPipeline([{ $group: { _id: null, n: { $sum: 1 } } }], {}).count?.(3)).toEqual({ _id: null, n: 3 });
  });

  it.each([
    ['$match', [{ $limit: 1 }, { $match: {} }]],
    ['$skip', [{ $limit: 1 }, { $skip: 1 }]],
    ['$limit', [{ $limit: 0 }]],
    ['$sort', [{ $sort: { a: 1 } }, { $sort: { b: 1 } }]],
    ['$count', [{ $group: { _id: 1, n: { $sum: 1 } } }, { $count: 'n' }]],
    ['$group', [{ $group: { _id: '$a', n: { $sum: 1 } } }]],
    ['$group', [{ $group: { _id: 1, n: { $sum: '$a' } } }]],
    ['$lookup', [{ $lookup: {} }]],
    ['$where', [{ $match: { $where: '1' } }]],
    ['$slice', [{ $project: { a: { $slice: 1 } } }]],
    ['pipeline', [{}]],
  ])('refuses %s in %o', (operator, pipeline) => {
    expect(() => planPipeline(pipeline, {})).toThrow(expect.objectContaining({ details: { operator } }));
  });
});
