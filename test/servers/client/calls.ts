import {
  type AnyBulkWriteOperation,
  Binary,
  type Collection,
  Decimal128,
  type Document,
  Long,
  ObjectId,
} from 'mongodb';

/** What is asked: a name for people, and the call. The same is asked of the driver's collection and of ours. */
export interface TriedCall {
  readonly name: string;
  readonly call: (things: Collection<Document>) => Promise<unknown>;
  /** With the database away: AS_BEFORE, what it answered before; else the code of the refusal. Default AS_BEFORE. */
  readonly away?: 'AS_BEFORE' | 'FALLBACK_UNSUPPORTED';
}

const id = (n: number): ObjectId => ObjectId.createFromHexString(n.toString(16).padStart(24, '0'));

/** The documents that calls are about. */
export const THINGS: readonly Document[] = Array.from({ length: 60 }, (_, n) => ({
  _id: id(n),
  name: `thing ${n}`,
  size: n % 7,
  half: n / 2,
  big: Long.fromString(`900719925474099${n}`),
  price: Decimal128.fromString(`${n}.50`),
  tags: ['all', `t${n % 4}`],
  at: new Date(1_700_000_000_000 + n * 1_000),
  inner: { list: [{ a: n }, { a: n + 1 }], flag: n % 2 === 0 },
  bytes: new Binary(Buffer.from([n])),
  ...(n % 5 === 0 && { note: null }),
}));

const byId = { sort: { _id: 1 } } as const;

export const READS: readonly TriedCall[] = [
  { name: 'findOne by id', call: (c) => c.findOne({ _id: id(7) }) },
  { name: 'findOne by a field', call: (c) => c.findOne({ name: 'thing 9' }) },
  { name: 'findOne of nothing', call: (c) => c.findOne({ name: 'no' }) },
  { name: 'findOne with a projection', call: (c) => c.findOne({ _id: id(7) }, { projection: { name: 1, _id: 0 } }) },
  { name: 'findOne sorted', call: (c) => c.findOne({}, { sort: { half: -1 } }) },
  { name: 'findOne with skip', call: (c) => c.findOne({}, { ...byId, skip: 3 }) },
  { name: 'findOne of Longs as they are', call: (c) => c.findOne({ _id: id(2) }, { promoteLongs: false }) },
  { name: 'findOne of BSON values', call: (c) => c.findOne({ _id: id(2) }, { promoteValues: false }) },
  { name: 'findOne of buffers', call: (c) => c.findOne({ _id: id(2) }, { promoteBuffers: true }) },
  { name: 'findOne of bigints', call: (c) => c.findOne({ _id: id(2) }, { useBigInt64: true }) },
  { name: 'find all', call: (c) => c.find({}, byId).toArray() },
  { name: 'find without a filter', call: (c) => c.find().sort('_id').toArray() },
  { name: 'find with limit and skip', call: (c) => c.find().sort({ _id: 1 }).skip(5).limit(4).toArray() },
  { name: 'find with a negative limit', call: (c) => c.find({}, { ...byId, limit: -3 }).toArray() },
  { name: 'find with limit 0', call: (c) => c.find({}, { ...byId, limit: 0 }).toArray() },
  {
    name: 'sort by an array of pairs',
    call: (c) =>
      c
        .find()
        .sort([
          ['size', -1],
          ['_id', 1],
        ])
        .limit(9)
        .toArray(),
  },
  { name: 'sort by name and word', call: (c) => c.find().sort('half', 'desc').limit(3).toArray() },
  {
    name: 'sort by a map',
    call: (c) =>
      c
        .find()
        .sort(new Map([['half', -1]]))
        .limit(3)
        .toArray(),
  },
  { name: 'project', call: (c) => c.find({ size: 2 }, byId).project({ name: 1 }).toArray() },
  { name: 'project without fields', call: (c) => c.find({ size: 2 }, byId).project({ inner: 0, big: 0 }).toArray() },
  { name: 'project within', call: (c) => c.find({ size: 2 }, byId).project({ 'inner.list.a': 1 }).toArray() },
  { name: 'filter by a cursor', call: (c) => c.find().filter({ size: 3 }).sort({ _id: 1 }).toArray() },
  {
    name: 'map',
    call: (c) =>
      c
        .find({ size: 1 }, byId)
        .map(({ name }) => name)
        .toArray(),
  },
  { name: 'batches', call: (c) => c.find({}, { ...byId, batchSize: 7 }).toArray() },
  { name: 'next and hasNext', call: (c) => nextAll(c.find({ size: 4 }, byId)) },
  { name: 'tryNext', call: (c) => c.find({ size: 4 }, byId).tryNext() },
  { name: 'for await', call: (c) => iterated(c.find({ size: 4 }, byId)) },
  { name: 'forEach', call: (c) => eached(c.find({ size: 4 }, byId)) },
  { name: 'stream', call: (c) => iterated(c.find({ size: 4 }, byId).stream()) },
  { name: 'rewind', call: (c) => rewound(c.find({ size: 4 }, byId)) },
  { name: 'clone', call: (c) => c.find({ size: 4 }, byId).limit(2).clone().toArray() },
  { name: 'closed cursor', call: (c) => closed(c.find({}, byId)) },
  { name: 'comparisons', call: (c) => c.find({ half: { $gte: 3, $lt: 5 } }, byId).toArray() },
  { name: '$in and $nin', call: (c) => c.find({ size: { $in: [1, 2], $nin: [2] } }, byId).toArray() },
  { name: '$or', call: (c) => c.find({ $or: [{ size: 6 }, { name: 'thing 1' }] }, byId).toArray() },
  { name: '$not', call: (c) => c.find({ size: { $not: { $gt: 1 } } }, byId).toArray() },
  { name: '$exists', call: (c) => c.find({ note: { $exists: true } }, byId).toArray() },
  { name: 'null', call: (c) => c.find({ note: null }, byId).limit(5).toArray() },
  { name: 'undefined', call: (c) => c.find({ note: undefined }, { ...byId, ignoreUndefined: true }).toArray() },
  { name: 'an element of an array', call: (c) => c.find({ tags: 't2' }, byId).toArray() },
  { name: '$all and $size', call: (c) => c.find({ tags: { $all: ['all', 't1'], $size: 2 } }, byId).toArray() },
  { name: '$elemMatch', call: (c) => c.find({ 'inner.list': { $elemMatch: { a: { $gt: 57 } } } }, byId).toArray() },
  { name: 'a path through an array', call: (c) => c.find({ 'inner.list.a': 4 }, byId).toArray() },
  { name: 'a regular expression', call: (c) => c.find({ name: /^THING 1/i }, byId).toArray() },
  { name: '$regex', call: (c) => c.find({ name: { $regex: '5$' } }, byId).toArray() },
  { name: 'a date', call: (c) => c.find({ at: { $gt: new Date(1_700_000_050_000) } }, byId).toArray() },
  { name: 'a Long', call: (c) => c.find({ big: Long.fromString('9007199254740997') }, byId).toArray() },
  { name: 'a decimal', call: (c) => c.find({ price: Decimal128.fromString('3.5') }, byId).toArray() },
  { name: 'a binary', call: (c) => c.findOne({ bytes: new Binary(Buffer.from([9])) }) },
  { name: 'countDocuments', call: (c) => c.countDocuments() },
  { name: 'countDocuments with a filter', call: (c) => c.countDocuments({ size: 3 }) },
  { name: 'countDocuments with skip and limit', call: (c) => c.countDocuments({ size: 3 }, { skip: 2, limit: 4 }) },
  { name: 'countDocuments of nothing', call: (c) => c.countDocuments({ size: 99 }) },
  { name: 'estimatedDocumentCount', call: (c) => c.estimatedDocumentCount() },
  { name: 'distinct', call: async (c) => (await c.distinct('size')).sort() },
  { name: 'distinct of arrays with a filter', call: async (c) => (await c.distinct('tags', { size: 1 })).sort() },
  {
    name: 'aggregate: match, sort, limit',
    call: (c) => c.aggregate([{ $match: { size: 1 } }, { $sort: { _id: -1 } }, { $limit: 2 }]).toArray(),
  },
  {
    name: 'aggregate: by its methods',
    call: (c) => c.aggregate().match({ size: 1 }).sort({ _id: 1 }).skip(1).toArray(),
  },
  {
    name: 'aggregate: project',
    call: (c) => c.aggregate([{ $match: { size: 1 } }, { $sort: { _id: 1 } }, { $project: { name: 1 } }]).toArray(),
  },
  { name: 'aggregate: count', call: (c) => c.aggregate([{ $match: { size: 1 } }, { $count: 'n' }]).toArray() },
  {
    name: 'aggregate: count of nothing',
    call: (c) => c.aggregate([{ $match: { size: 99 } }, { $count: 'n' }]).toArray(),
  },
  {
    name: 'aggregate: group',
    call: async (c) => sorted(await c.aggregate([{ $group: { _id: '$size', n: { $sum: 1 } } }]).toArray()),
    away: 'FALLBACK_UNSUPPORTED',
  },
  {
    name: 'aggregate: unwind',
    call: (c) => c.aggregate([{ $match: { _id: id(1) } }, { $unwind: '$tags' }]).toArray(),
    away: 'FALLBACK_UNSUPPORTED',
  },
  {
    name: 'aggregate: match after limit',
    call: (c) => c.aggregate([{ $sort: { _id: 1 } }, { $limit: 9 }, { $match: { size: 1 } }]).toArray(),
    away: 'FALLBACK_UNSUPPORTED',
  },
  {
    name: 'a slice of an array',
    call: (c) =>
      c
        .find({ size: 1 }, byId)
        .project({ tags: { $slice: 1 } })
        .toArray(),
    away: 'FALLBACK_UNSUPPORTED',
  },
];

/** Each is carried out once on a collection that holds {@link THINGS}; with the database away each is refused. */
export const WRITES: readonly TriedCall[] = [
  { name: 'insertOne', call: (c) => c.insertOne({ _id: id(100), name: 'new' }) },
  { name: 'insertOne twice', call: (c) => c.insertOne({ _id: id(100), name: 'again' }).catch(failure) },
  { name: 'insertMany', call: (c) => c.insertMany([{ _id: id(101) }, { _id: id(102) }]) },
  { name: 'updateOne', call: (c) => c.updateOne({ _id: id(1) }, { $set: { name: 'x' }, $inc: { size: 1 } }) },
  { name: 'updateOne of nothing', call: (c) => c.updateOne({ _id: id(999) }, { $set: { name: 'x' } }) },
  { name: 'upsert', call: (c) => c.updateOne({ _id: id(103) }, { $set: { name: 'up' } }, { upsert: true }) },
  { name: 'updateMany', call: (c) => c.updateMany({ size: 2 }, { $set: { seen: true } }) },
  {
    name: 'updateOne by a wrong operator',
    call: (c) => c.updateOne({ _id: id(1) }, { $nope: { a: 1 } } as never).catch(failure),
  },
  { name: 'update without operators', call: (c) => c.updateOne({ _id: id(1) }, { a: 1 } as never).catch(failure) },
  { name: 'replaceOne', call: (c) => c.replaceOne({ _id: id(3) }, { name: 'other' }) },
  {
    name: 'findOneAndUpdate',
    call: (c) => c.findOneAndUpdate({ _id: id(4) }, { $inc: { size: 5 } }, { returnDocument: 'after' }),
  },
  {
    name: 'findOneAndUpdate with metadata',
    call: async (c) =>
      (await c.findOneAndUpdate({ _id: id(4) }, { $inc: { size: 5 } }, { includeResultMetadata: true })).value,
  },
  { name: 'findOneAndReplace', call: (c) => c.findOneAndReplace({ _id: id(5) }, { name: 'five' }) },
  { name: 'findOneAndDelete', call: (c) => c.findOneAndDelete({ _id: id(6) }) },
  { name: 'deleteOne', call: (c) => c.deleteOne({ _id: id(7) }) },
  { name: 'deleteMany', call: (c) => c.deleteMany({ size: 5 }) },
  { name: 'bulkWrite', call: async (c) => counts(await c.bulkWrite(bulk())) },
];

function bulk(): AnyBulkWriteOperation<Document>[] {
  return [
    { insertOne: { document: { _id: id(110) } } },
    { updateOne: { filter: { _id: id(8) }, update: { $set: { name: 'b' } } } },
    { deleteOne: { filter: { _id: id(9) } } },
  ];
}

function counts(result: Awaited<ReturnType<Collection['bulkWrite']>>): unknown {
  const { insertedCount, matchedCount, modifiedCount, deletedCount } = result;
  return { insertedCount, matchedCount, modifiedCount, deletedCount };
}

/** What of an error a caller decides by. An outage is none of these. */
function failure(error: Error & { code?: unknown }): unknown {
  if (error.name === 'HoldfastError') throw error;
  return { name: error.name, code: error.code };
}

async function nextAll(cursor: ReturnType<Collection['find']>): Promise<unknown[]> {
  const found: unknown[] = [];
  while (await cursor.hasNext()) found.push(await cursor.next());
  return [...found, await cursor.next(), cursor.closed];
}

async function iterated(documents: AsyncIterable<unknown>): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const document of documents) found.push(document);
  return found;
}

async function eached(cursor: ReturnType<Collection['find']>): Promise<unknown[]> {
  const found: unknown[] = [];
  await cursor.forEach((document) => void found.push(document));
  return found;
}

async function rewound(cursor: ReturnType<Collection['find']>): Promise<unknown[]> {
  const first = await cursor.toArray();
  cursor.rewind();
  return [first, await cursor.toArray()];
}

async function closed(cursor: ReturnType<Collection['find']>): Promise<unknown[]> {
  await cursor.next();
  await cursor.close();
  return [cursor.closed, await cursor.toArray()];
}

function sorted(documents: Document[]): Document[] {
  return documents.sort((a, b) => a._id - b._id);
}
