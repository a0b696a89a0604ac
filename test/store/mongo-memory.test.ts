import { type Db, MongoNetworkError, MongoServerError } from 'mongodb';
import { describe, expect, it } from 'vitest';
import type { DocumentText } from '../../src/model/document.ts';
import { MongoMemory } from '../../src/store/mongo-memory.ts';

const KEY = { key: 'k'.repeat(32), digest: 'd'.repeat(32) };
const DOCUMENT = '{"_id":"a"}' as DocumentText;
const UNCHANGED = { digest: KEY.digest, version: 1, position: { epoch: 1, sequence: 1 }, document: DOCUMENT };
const END = { digest: KEY.digest, matched: 1, modified: 1, position: { epoch: 1, sequence: 1 }, written: [] };

/** A database whose collections answer each command with what `answer` does. */
function databaseThat(answer: (command: string) => unknown): Db {
  const commands = ['createIndexes', 'findOne', 'bulkWrite', 'countDocuments', 'insertOne', 'deleteMany', 'updateOne'];
  const collection = Object.fromEntries(commands.map((name) => [name, async () => answer(name)]));
  const find = () => ({ sort: () => ({ toArray: async () => answer('find') }) });
  return { collection: () => ({ ...collection, find }) } as unknown as Db;
}

describe('what is remembered of writes', () => {
  it('says that the database is unavailable when an answer is missing: every call may be repeated', async () => {
    const memory = new MongoMemory(
      databaseThat(() => {
        throw new MongoNetworkError('connect ECONNREFUSED');
      }),
      Date.now,
    );
    const calls = [
      memory.prepare(),
      memory.unchanged(KEY),
      memory.rememberUnchanged(KEY.key, UNCHANGED),
      memory.removed(KEY.key),
      memory.rememberRemoved([{ key: KEY.key, document: DOCUMENT }]),
      memory.end(KEY),
      memory.rememberEnd(KEY.key, END),
      memory.planned(KEY),
      memory.plannedTwice(KEY, [DOCUMENT]),
      memory.rememberPlan(KEY, [DOCUMENT]),
      memory.prune(0),
    ];
    for (const settled of await Promise.allSettled(calls)) {
      expect(settled).toMatchObject({ status: 'rejected', reason: { code: 'DATABASE_UNAVAILABLE' } });
    }
  });

  it('takes what another primary remembered at the same moment', async () => {
    let refusals = 2;
    const database = databaseThat((command) => {
      if (command === 'findOne') return { _id: KEY.key, at: 0, unchanged: { ...UNCHANGED, version: 7 } };
      if (refusals-- > 0 && refusals % 2 === 1) throw new MongoServerError({ code: 11000, message: 'E11000' });
      return {};
    });
    const memory = new MongoMemory(database, Date.now);
    expect(await memory.rememberUnchanged(KEY.key, UNCHANGED)).toMatchObject({ version: 7 });
    refusals = 2;
    await expect(memory.rememberRemoved([{ key: KEY.key, document: DOCUMENT }])).resolves.toBeUndefined();
  });
});
