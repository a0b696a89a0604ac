import { randomBytes } from 'node:crypto';
import { type Db, MongoClient } from 'mongodb';
import { MongoChangeLog, type MongoChangeLogOptions } from '../../src/changelog/mongo-change-log.ts';
import type { Change } from '../../src/model/change.ts';
import type { KeyedChange } from '../../src/store/outbox.ts';

/** A database of its own with everything needed to open logs on it; dropped at the end of the scope. */
export interface MongoLogs extends AsyncDisposable {
  readonly url: string;
  readonly database: Db;
  /** Another process's view of the log: a client and a log of its own, closed with the rest. */
  open(options?: Partial<MongoChangeLogOptions>): Promise<MongoChangeLog>;
}

/** A client as the store opens one: it repeats no write by itself. */
export function mongoClient(url: string): MongoClient {
  return new MongoClient(url, { retryWrites: false, retryReads: false, serverSelectionTimeoutMS: 2_000 });
}

/** A random database on the server at `url`. */
export async function mongoLogs(url: string): Promise<MongoLogs> {
  const name = `holdfast_test_${randomBytes(6).toString('hex')}`;
  const clients = [mongoClient(url)];
  const logs: MongoChangeLog[] = [];
  const database = (clients[0] as MongoClient).db(name);
  return {
    url,
    database,
    async open(options = {}) {
      const client = mongoClient(url);
      clients.push(client);
      const log = await MongoChangeLog.open({ database: client.db(name), keepMs: 0, ...options });
      logs.push(log);
      return log;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(logs.map((log) => log.close()));
      await database.dropDatabase();
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}

/** The change with a digest when it has a key. */
export function keyed(change: Change): KeyedChange {
  return { ...change, digest: change.key === null ? null : 'd'.repeat(32) };
}
