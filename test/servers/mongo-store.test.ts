import { afterAll, beforeAll } from 'vitest';
import { storeContract } from '../contract/store.ts';
import { openMongoStore } from '../support/mongo-store.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { type MongoServer, startMongo } from '../support/servers/mongo.ts';

describeWith('mongodb', 'MongoStore', () => {
  let server: MongoServer;
  beforeAll(async () => {
    server = await startMongo();
  }, 60_000);
  afterAll(() => server[Symbol.asyncDispose]());

  storeContract('the contract of stores', (collections) => openMongoStore((name) => server.urlOf(name), collections));
});
