import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Change } from '../../src/model/change.ts';
import { type ChangeLogFixture, changeLogContract, changeOf } from '../contract/change-log.ts';
import { keyed, mongoLogs } from '../support/mongo-log.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { type MongoServer, startMongo } from '../support/servers/mongo.ts';

describeWith('mongodb', 'the change log on MongoDB', () => {
  let server: MongoServer;
  beforeAll(async () => {
    server = await startMongo();
  }, 120_000);
  afterAll(() => server[Symbol.asyncDispose]());

  async function open(): Promise<ChangeLogFixture> {
    const logs = await mongoLogs(server.url);
    const fixture = {
      log: await logs.open(),
      append: (...changes: Change[]) => fixture.log.append(changes.map(keyed)),
      async reopen() {
        await fixture.log.close();
        fixture.log = await logs.open();
      },
      [Symbol.asyncDispose]: () => logs[Symbol.asyncDispose](),
    };
    return fixture;
  }

  changeLogContract('MongoChangeLog', open);
});
