import { ObjectId } from 'bson';
import { expect, it } from 'vitest';
import { answerable, parseShapes, ShapeRecorder } from '../../src/fallback/shapes.ts';

const RULES = { entity: 'T', uniquePaths: ['email'], requiredPaths: [], lists: 'REFUSE', masked: 'NULL' } as const;
const NONE = { count: false, skip: 0 } as const;

function shapeOf(filter: Record<string, unknown>, more: object = {}) {
  const recorder = new ShapeRecorder();
  recorder.record({ collection: 'ts', filter, ...NONE, ...more });
  return recorder.list().shapes[0]!;
}

it('keeps no value', () => {
  const filter = {
    name: 'Ada',
    age: { $gte: 36, $lt: 37 },
    _id: { $in: [new ObjectId(), new ObjectId()] },
    $or: [{ email: 'ada@x.org' }, { tags: { $elemMatch: { label: 'secret' } } }],
    gone: null,
    nested: { city: 'London' },
  };
  expect(shapeOf(filter).filter).toEqual({
    ...{ name: '?', age: { $gte: '?', $lt: '?' }, _id: { $in: ['?'] }, gone: null, nested: '?' },
    $or: [{ email: '?' }, { tags: { $elemMatch: { label: '?' } } }],
  });
});

it('counts equal shapes as one, and keeps a bounded number', () => {
  const recorder = new ShapeRecorder({ max: 2 });
  for (const path of ['a', 'b', 'a', 'c', 'a'])
    recorder.record({ collection: 'ts', filter: { [path]: path }, ...NONE });
  expect(recorder.list()).toMatchObject({ others: 1, shapes: [{ filter: { a: '?' }, times: 3 }, { times: 1 }] });
});

it('goes on from what was written down', () => {
  const first = new ShapeRecorder();
  first.record({ collection: 'ts', filter: { a: 1 }, ...NONE });
  const second = new ShapeRecorder();
  second.restore(parseShapes(JSON.stringify(first.list()))!);
  second.record({ collection: 'ts', filter: { a: 2 }, ...NONE });
  expect(second.list().shapes).toMatchObject([{ times: 2 }]);
  expect(parseShapes('{')).toBeUndefined();
  expect(parseShapes('{"shapes":[1],"others":0}')).toBeUndefined();
});

it.each([
  ['a lookup by id in a part', { _id: 'x' }, {}, { complete: false, masked: [] }, 'PERHAPS'],
  ['a lookup by a unique field in a part', { email: 'x' }, {}, { complete: false, masked: [] }, 'PERHAPS'],
  ['a lookup by a masked field', { email: 'x' }, {}, { complete: true, masked: ['email'] }, 'NO'],
  ['a list from a part', { age: 1 }, {}, { complete: false, masked: [] }, 'NO'],
  ['a list from the whole', { age: 1 }, {}, { complete: true, masked: ['name'] }, 'YES'],
  ['an order by a masked field', {}, { sort: { name: 1 } }, { complete: true, masked: ['name'] }, 'NO'],
  ['a count of a part', { _id: 'x' }, { count: true }, { complete: false, masked: [] }, 'NO'],
  [
    'a relation by ids in a part',
    {},
    { grouped: { path: '_id', keys: ['x'] } },
    { complete: false, masked: [] },
    'PERHAPS',
  ],
  [
    'a relation by a key in a part',
    {},
    { grouped: { path: 'tId', keys: ['x'] } },
    { complete: false, masked: [] },
    'NO',
  ],
  ['anything from nothing', { _id: 'x' }, {}, undefined, 'NO'],
] as const)('tells whether a copy answers %s', (_what, filter, more, copy, expected) => {
  expect(answerable(shapeOf(filter, more), copy, RULES)).toBe(expected);
});

it('answers lists from a part where the schema says so', () => {
  expect(answerable(shapeOf({ age: 1 }), { complete: false, masked: [] }, { ...RULES, lists: 'SAMPLE' })).toBe('YES');
});
