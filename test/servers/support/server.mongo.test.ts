import { MongoClient } from 'mongodb';
import { expect, it } from 'vitest';
import { describeWith } from '../../support/servers/describe-with.ts';
import { startMongo, withDatabase } from '../../support/servers/mongo.ts';
import { behavesAsServer } from './behaviour.ts';

const behaves = () => {
  behavesAsServer(startMongo, async (server) => {
    const client = new MongoClient(server.urlOf('test'), { serverSelectionTimeoutMS: 5000, retryWrites: false });
    const numbers = client
      .db()
      .collection<{ _id: number }>('numbers', { writeConcern: { w: 'majority', journal: true } });
    return {
      add: (number) => numbers.insertOne({ _id: number }),
      all: async () => (await numbers.find().toArray()).map((document) => document._id),
      close: () => client.close(),
    };
  });
};
describeWith('mongodb', 'a MongoDB server of a test', behaves, { killable: true });

describeWith('mongodb', 'the databases of a MongoDB server', () => {
  it('are apart by name', async () => {
    await using server = await startMongo();
    await using one = new MongoClient(server.urlOf('one'));
    await using two = new MongoClient(server.urlOf('two'));
    await one.db().collection('things').insertOne({ name: 'first' });
    expect(await one.db().collection('things').countDocuments()).toBe(1);
    expect(await two.db().collection('things').countDocuments()).toBe(0);
  });

  it.each([
    ['mongodb://a:27017', 'mongodb://a:27017/x'],
    ['mongodb://a,b:27018/old?replicaSet=r', 'mongodb://a,b:27018/x?replicaSet=r'],
    ['mongodb://me:pw@a/?tls=true', 'mongodb://me:pw@a/x?tls=true&authSource=admin'],
    ['mongodb+srv://me:pw@a/users', 'mongodb+srv://me:pw@a/x?authSource=users'],
    ['mongodb://me:pw@a/?authSource=admin', 'mongodb://me:pw@a/x?authSource=admin'],
  ])('are named in the URL: %s', (url, expected) => {
    expect(withDatabase(url, 'x')).toBe(expected);
  });
});
