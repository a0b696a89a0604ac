import { storeContract } from '../contract/store.ts';
import { openMongoStore } from '../support/mongo-store.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { shared } from '../support/servers/shared.ts';

describeWith('mongodb', 'MongoStore', () => {
  const server = shared(startMongo);

  storeContract('the contract of stores', (collections) => openMongoStore((name) => server().urlOf(name), collections));
});
