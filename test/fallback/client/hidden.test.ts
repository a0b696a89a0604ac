import { describe, expect, it } from 'vitest';
import { alive, hiddenPipeline, hiding, stripped } from '../../../src/fallback/client/hidden.ts';

const ALIVE = { '_holdfast.deleted': { $ne: true } };
const HIDE = { $project: { _holdfast: 0 } };

describe('what hides the metadata', () => {
  it.each([
    [undefined, { projection: { _holdfast: 0 }, strips: false }],
    [{}, { projection: { _holdfast: 0 }, strips: false }],
    [{ _id: 0 }, { projection: { _id: 0, _holdfast: 0 }, strips: false }],
    [
      { a: 0, b: false },
      { projection: { a: 0, b: false, _holdfast: 0 }, strips: false },
    ],
    [{ a: 1, _id: 0 }, { strips: false }],
    [{ _id: 1 }, { strips: false }],
    [{ 'a.b': true }, { strips: false }],
    [{ a: '$b' }, { strips: false }],
    [{ a: { $slice: 1 } }, { strips: true }],
    [{ a: 1, b: { $elemMatch: { c: 1 } } }, { strips: true }],
  ])('adds to a projection what may be added: %j', (projection, expected) => {
    expect(hiding(projection)).toEqual(expected);
  });

  it.each([
    [[], [{ $match: ALIVE }, HIDE]],
    [[{ $match: { a: 1 } }], [{ $match: { a: 1, ...ALIVE } }, HIDE]],
    [
      [{ $match: { a: 1 } }, { $sort: { a: 1 } }, { $group: { _id: '$a', all: { $push: '$$ROOT' } } }],
      [{ $match: { a: 1, ...ALIVE } }, { $sort: { a: 1 } }, HIDE, { $group: { _id: '$a', all: { $push: '$$ROOT' } } }],
    ],
    [
      [{ $lookup: { from: 'b', localField: 'b', foreignField: '_id', as: 'bs' } }],
      [
        ...[{ $match: ALIVE }, HIDE, { $lookup: { from: 'b', localField: 'b', foreignField: '_id', as: 'bs' } }],
        { $project: { 'bs._holdfast': 0 } },
      ],
    ],
    [[{ $unionWith: 'b' }], [{ $match: ALIVE }, HIDE, { $unionWith: 'b' }, HIDE]],
    [[{ $geoNear: { near: [0, 0] } }], [{ $geoNear: { near: [0, 0] } }, HIDE]],
    [[{ $collStats: {} }], [{ $collStats: {} }]],
    [
      [{ $indexStats: {} }, { $limit: 1 }],
      [{ $indexStats: {} }, { $limit: 1 }],
    ],
  ])('puts its stages where they cost least: %j', (pipeline, expected) => {
    expect(hiddenPipeline(pipeline)).toEqual(expected);
  });

  it('leaves out of a filter what is being deleted, and of a document what is not its own', () => {
    expect(alive(undefined)).toEqual(ALIVE);
    expect(alive({ a: 1 })).toEqual({ a: 1, ...ALIVE });
    expect(stripped({ _id: 1, _holdfast: { version: 1 } })).toEqual({ _id: 1 });
    expect(stripped(null)).toBeNull();
  });
});
