import { expect, test } from 'vitest';
import { ReplicaService, type ReplicaView } from '../../replica/service.ts';
import { SqliteChangeLog } from '../../src/changelog/sqlite-change-log.ts';
import type { Entity } from '../../src/model/entity.ts';
import { loadModel } from '../../src/model/load.ts';
import type { RequestContext } from '../../src/service/data-service.ts';
import { Database } from '../../src/sqlite/database.ts';
import { SqliteStore } from '../../src/store/sqlite-store.ts';

const MODEL = loadModel([{ file: 'a.graphql', text: 'type Teacher @entity { id: ID! @id  name: String }' }]);
const TEACHER = MODEL.entities[0] as Entity;

async function service(view: Partial<ReplicaView> = {}) {
  const database = Database.open({ directory: ':memory:' });
  const log = await SqliteChangeLog.open(database);
  const collections = [{ name: TEACHER.collection, indexes: [] }];
  const store = await SqliteStore.open({ database, outbox: log, collections });
  await store.collection(TEACHER.collection).insertOne({ _id: 'a', name: 'Ada' });
  const waited: number[] = [];
  const replica: ReplicaView = {
    isReady: () => true,
    position: () => ({ epoch: 1, sequence: 7 }),
    has: ({ sequence }) => sequence <= 7,
    lag: () => ({ head: 7, lagChanges: 0, stalenessMs: 300, asOf: '2030-01-01T00:00:00.000Z' }),
    status: () => ({ state: 'LIVE' }),
    waitFor: async (_position, timeoutMs) => {
      waited.push(timeoutMs);
      return false;
    },
    ...view,
  };
  return { service: new ReplicaService({ store, log, replica }), waited };
}

const context = (fields: Partial<RequestContext> = {}): RequestContext => ({
  principal: 'p',
  signal: new AbortController().signal,
  ...fields,
});

test('answers from its own copy and says how old that is', async () => {
  const { service: reads } = await service();
  const request = context();
  expect(await reads.find(TEACHER, {}, {}, request)).toEqual([{ _id: 'a', name: 'Ada' }]);
  expect(request.provenance).toEqual({
    source: 'REPLICA',
    asOf: '2030-01-01T00:00:00.000Z',
    stalenessMs: 300,
    position: '1.7',
    degraded: false,
  });
  expect(await reads.count(TEACHER, {}, context())).toBe(1);
  expect(await reads.findGrouped(TEACHER, 'name', ['Ada', 'Bob'], {}, {}, context())).toEqual([
    [{ _id: 'a', name: 'Ada' }],
    [],
  ]);
});

test.each(['CONNECTING', 'GREETING', 'RESYNCING', 'REPAIRING', 'FORKED', 'FENCED', 'MISMATCHED'] as const)(
  'is degraded while %s, and answers',
  async (state) => {
    const { service: reads } = await service({ status: () => ({ state }) });
    const request = context();
    await reads.find(TEACHER, {}, {}, request);
    expect(request.provenance?.degraded).toBe(true);
  },
);

test('a copy that was never proven serves nothing', async () => {
  const { service: reads } = await service({ isReady: () => false, status: () => ({ state: 'BOOTSTRAPPING' }) });
  const refused = { code: 'NOT_READY', details: { state: 'BOOTSTRAPPING' } };
  await expect(reads.find(TEACHER, {}, {}, context())).rejects.toMatchObject(refused);
  await expect(reads.count(TEACHER, {}, context())).rejects.toMatchObject(refused);
  const changes = reads.changes(TEACHER, { filter: {}, operations: [] }, context())[Symbol.asyncIterator]();
  await expect(changes.next()).rejects.toMatchObject(refused);
});

test('waits 200 ms for a position that is not here, then refuses', async () => {
  const { service: reads, waited } = await service();
  await reads.find(TEACHER, {}, {}, context({ minPosition: { epoch: 1, sequence: 7 } }));
  expect(waited).toEqual([]);
  const late = reads.find(TEACHER, {}, {}, context({ minPosition: { epoch: 1, sequence: 8 } }));
  await expect(late).rejects.toMatchObject({ code: 'STALE_READ', details: { position: '1.7', lagMs: 300 } });
  expect(waited).toEqual([200]);
});

test('answers when the position comes in time, with the position it then has', async () => {
  let sequence = 7;
  const { service: reads } = await service({
    position: () => ({ epoch: 1, sequence }),
    waitFor: async () => {
      sequence = 9;
      return true;
    },
  });
  const request = context({ minPosition: { epoch: 1, sequence: 8 } });
  await reads.find(TEACHER, {}, {}, request);
  expect(request.provenance?.position).toBe('1.9');
});

test('refuses what is older than the request allows', async () => {
  const { service: reads } = await service();
  await reads.find(TEACHER, {}, {}, context({ maxStalenessMs: 300 }));
  await expect(reads.find(TEACHER, {}, {}, context({ maxStalenessMs: 299 }))).rejects.toMatchObject({
    code: 'STALE_READ',
    details: { position: '1.7', lagMs: 300 },
  });
});

test('writes belong to the primary', async () => {
  const { service: reads } = await service();
  for (const refused of [
    reads.create(),
    reads.createMany(),
    reads.update(),
    reads.updateMany(),
    reads.upsert(),
    reads.delete(),
    reads.deleteMany(),
  ]) {
    await expect(refused).rejects.toMatchObject({ code: 'NOT_PRIMARY' });
  }
});
