import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { loadModel } from '../../src/model/load.ts';
import { connectMongo } from '../../src/store/mongo-connection.ts';
import { foundCollections } from '../../src/store/mongo-sample.ts';
import { databaseName, openMongoNode } from '../support/mongo-store.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';

const HOLDFAST = join(import.meta.dirname, '../../bin/holdfast.js');

describeWith('mongodb', 'the SDL of a database', () => {
  it("names its collections, fields and the indexes it has, and leaves the gateway's own out", async () => {
    await using server = await startMongo();
    const url = server.urlOf(databaseName());
    {
      await using connection = await connectMongo(url);
      const { database } = connection;
      const teachers = database.collection<{ _id: string; [field: string]: unknown }>('teachers');
      await teachers.insertMany([
        {
          _id: 't1',
          name: 'Ada',
          email: 'ada@example.test',
          'home-town': 'Turin',
          tags: ['a'],
          address: { city: 'T' },
        },
        { _id: 't2', name: 'Ben', email: 'ben@example.test', tags: [], address: { city: 'U' } },
      ]);
      await teachers.createIndex({ email: 1 }, { unique: true, sparse: true });
      await teachers.createIndex({ name: 1 });
      await database.createCollection('empty_things');
      await using node = await openMongoNode(url, [{ name: 'teachers', indexes: [] }]);
      await node.store.collection('teachers').deleteOne({ _id: 't2' });
      await node.store.collection('teachers').updateOne({ _id: 't1' }, { $set: { name: 'Eva' } });
    }
    const { stdout } = await promisify(execFile)(process.execPath, [HOLDFAST, 'schema', 'infer', '--from', url]);
    expect(stdout).not.toContain('holdfast');
    expect(stdout).not.toContain('empty');
    const model = loadModel([{ file: 'inferred', text: stdout }]);
    expect(model.entities.map(({ name, collection }) => [name, collection])).toEqual([['Teacher', 'teachers']]);
    expect(model.entities[0]?.indexes.map(({ paths, unique }) => [paths, unique])).toEqual(
      expect.arrayContaining([
        [['email'], true],
        [['name'], false],
      ]),
    );
    expect(stdout).toContain('@field(name: "home-town")');
  });

  it('samples both ends of a collection', async () => {
    await using server = await startMongo();
    await using connection = await connectMongo(server.urlOf(databaseName()));
    await connection.database
      .collection<{ _id: number }>('numbers')
      .insertMany(Array.from({ length: 50 }, (_, _id) => ({ _id })));
    const [numbers] = await foundCollections(connection);
    const ids: unknown[] = [];
    for await (const { _id } of numbers!.sample(5)) ids.push(_id);
    expect(ids).toEqual([0, 1, 2, 49, 48]);
    const all: unknown[] = [];
    for await (const { _id } of numbers!.sample(1_000)) all.push(_id);
    expect(new Set(all).size).toBe(50);
  });
});
