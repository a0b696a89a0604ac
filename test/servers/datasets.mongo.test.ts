import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findDrift } from '../../src/fallback/dataset/drift.ts';
import { refreshDataset } from '../../src/fallback/dataset/refresh.ts';
import { DrillProxy } from '../../src/fallback/drill/proxy.ts';
import { connectMongo } from '../../src/store/mongo-connection.ts';
import { mongoReader } from '../../src/store/mongo-reader.ts';
import { filesOf, KEY, PEOPLE, planted, plantedSource } from '../support/planted.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { shared } from '../support/servers/shared.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const COUNT = 60;

describeWith('mongodb', 'datasets of a MongoDB server', () => {
  const server = shared(startMongo);
  let client: MongoClient;

  beforeAll(async () => {
    client = new MongoClient(server().urlOf('people'));
    const documents = [...planted(COUNT)];
    for (const collection of ['people', 'posts', 'desks']) {
      const own = documents.filter((each) => each.collection === collection).map(({ document }) => document);
      await client
        .db()
        .collection(collection)
        .insertMany(own as never[]);
    }
  });

  afterAll(() => client?.close());

  it('are those of an embedded store with the same documents, and nothing is left on the server', async () => {
    await using directory = await temporaryDirectory();
    await using other = await temporaryDirectory();
    await using memory = await plantedSource(COUNT);
    await using connection = await connectMongo(server().urlOf('people'), { reachMs: 5_000 });
    const shared = { model: PEOPLE, key: KEY, budget: { documents: 50 } };
    const made = await refreshDataset({ ...shared, source: mongoReader(connection), out: directory.path });
    const expected = await refreshDataset({ ...shared, source: memory.source, out: other.path });
    expect(filesOf(made.directory, made.manifest)).toEqual(filesOf(expected.directory, expected.manifest));
    const names = await client.db().listCollections().toArray();
    expect(names.map(({ name }) => name).sort()).toEqual(['desks', 'people', 'posts']);
  });

  it('drift is found: types, unknown fields, absent indexes', async () => {
    await client
      .db()
      .collection<{ _id: string }>('desks')
      .insertOne({ _id: 'd-odd', room: 7, colour: 'red' } as never);
    await client.db().collection('desks').createIndex({ personId: 1 });
    await using connection = await connectMongo(server().urlOf('people'), { reachMs: 5_000 });
    const reader = mongoReader(connection);
    const indexesOf = (collection: string) => reader.indexesOf(collection);
    const { drifts, sampled } = await findDrift({ source: reader, model: PEOPLE, sample: 1_000, indexesOf });
    expect(sampled).toEqual({ people: COUNT, posts: COUNT, desks: COUNT + 1 });
    expect(drifts).toContainEqual({ collection: 'desks', kind: 'TYPE', path: 'room', documents: 1 });
    expect(drifts).toContainEqual({ collection: 'desks', kind: 'UNKNOWN', path: 'colour', documents: 1 });
    expect(drifts).toContainEqual({ collection: 'people', kind: 'INDEX', path: 'email', documents: null });
    expect(drifts).not.toContainEqual(expect.objectContaining({ collection: 'desks', kind: 'INDEX' }));
  });

  it('a drill loses the answer of a write that was made, and only that', async () => {
    const { hostname, port } = new URL(server().url);
    await using proxy = await DrillProxy.start({ target: { host: hostname, port: Number(port) } });
    const url = `mongodb://127.0.0.1:${proxy.port}/drill?directConnection=true`;
    const options = { retryWrites: false, socketTimeoutMS: 300, serverSelectionTimeoutMS: 2_000 };
    await using drilled = await new MongoClient(url, options).connect();
    const things = drilled.db().collection<{ _id: number }>('things');
    await things.insertOne({ _id: 1 });
    proxy.set({ kind: 'HANG_AFTER', commands: ['insert'], collections: ['things'], times: 1 });
    await expect(things.insertOne({ _id: 2 })).rejects.toMatchObject({ name: 'MongoNetworkTimeoutError' });
    proxy.set({ kind: 'ERROR', code: 11_600, commands: ['find'] });
    await expect(things.findOne({})).rejects.toMatchObject({ code: 11_600 });
    proxy.set();
    expect(await things.countDocuments({})).toBe(2);
    await drilled.db().dropDatabase();
  });
});
