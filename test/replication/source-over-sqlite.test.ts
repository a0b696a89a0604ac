import { afterEach, beforeEach, expect, test } from 'vitest';
import { SqliteChangeLog } from '../../src/changelog/sqlite-change-log.ts';
import { GENESIS_CHAIN } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import { encodeCursor } from '../../src/protocol/cursor.ts';
import { Buckets } from '../../src/protocol/digest.ts';
import { decodeBody, type FrameEntry } from '../../src/protocol/frame.ts';
import type { CollectionDigest } from '../../src/protocol/sync-source.ts';
import { Retention } from '../../src/replication/retention.ts';
import { PrimarySource } from '../../src/replication/source.ts';
import { Database } from '../../src/sqlite/database.ts';
import { SqliteStore } from '../../src/store/sqlite-store.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { seededRandom } from '../support/random.ts';

const COLLECTIONS = ['teachers', 'schools'];
const LIMITS = { maxBatch: 500, maxBytes: 512 * 1024 };

let node: Awaited<ReturnType<typeof open>>;
beforeEach(async () => {
  node = await open();
});
afterEach(async () => {
  node.source.stop();
  await node.database.close();
});

/** The parts of a primary over the embedded store, in memory. */
async function open() {
  const database = Database.open({ directory: ':memory:' });
  const log = await SqliteChangeLog.open(database);
  const collections = COLLECTIONS.map((name) => ({ name, indexes: [] }));
  const store = await SqliteStore.open({ database, outbox: log, collections });
  const clock = new ManualClock();
  const schema = { sdl: '', sdlHash: '0'.repeat(32) };
  const source = new PrimarySource({ log, rows: store, schema, collections: COLLECTIONS, clock });
  const start = encodeCursor({ logId: log.logId, epoch: 1, sequence: 0, chain: GENESIS_CHAIN });
  return { database, log, store, clock, source, start };
}

async function randomWrites(random: () => number, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const collection = node.store.collection(COLLECTIONS[Math.floor(random() * 2)] as string);
    const _id = `d${Math.floor(random() * 20)}`;
    if (random() < 0.3) await collection.deleteOne({ _id });
    else if ((await collection.findOne({ _id })) === null) await collection.insertOne({ _id, n: i });
    else await collection.updateOne({ _id }, { $set: { n: i } });
  }
}

function digestsNow(): readonly CollectionDigest[] {
  return COLLECTIONS.map((collection) => ({ collection, ...node.store.buckets(collection).digest() }));
}

async function follow(to: number): Promise<readonly FrameEntry[]> {
  const entries: FrameEntry[] = [];
  const all = { collections: null };
  for await (const frame of node.source.changes(node.start, all, LIMITS, new AbortController().signal)) {
    entries.push(...decodeBody(frame));
    if (frame.to >= to) break;
  }
  return entries;
}

test('what is written under a subscriber arrives, whole and in order', async () => {
  const writing = randomWrites(seededRandom(1), 300);
  await node.store.collection('schools').insertOne({ _id: 'last' });
  await writing;
  const head = node.log.head();
  const entries = await follow(head.sequence);
  expect(entries.map(({ sequence }) => sequence)).toEqual(entries.map((_, index) => index + 1));
  expect(entries.at(-1)?.chain).toBe(head.chain);
});

test('the entries alone make the documents of the store', async () => {
  await randomWrites(seededRandom(2), 400);
  const documents = new Map<string, string | null>();
  for (const { collection, id, image } of await follow(node.log.head().sequence)) {
    documents.set(`${collection} ${id}`, image);
  }
  for (const collection of COLLECTIONS) {
    const { rows, position } = await node.source.snapshot(collection, null, 1_000);
    expect(position.sequence).toBe(node.log.head().sequence);
    for (const { id, text } of rows) expect(documents.get(`${collection} ${id}`)).toBe(text);
    const alive = [...documents].filter(([key, image]) => key.startsWith(collection) && image !== null);
    expect(alive).toHaveLength(rows.length);
  }
});

test('digests and buckets of the past are those the store had then (seed 3)', async () => {
  const random = seededRandom(3);
  const history: { at: Position; digests: readonly CollectionDigest[]; teachers: Buckets }[] = [];
  for (let i = 0; i < 40; i++) {
    await randomWrites(random, 10);
    const { epoch, sequence } = node.log.head();
    history.push({ at: { epoch, sequence }, digests: digestsNow(), teachers: node.store.buckets('teachers').clone() });
  }
  for (const { at, digests, teachers } of history) {
    expect(await node.source.digests(at)).toEqual({ position: at, digests });
    const { buckets } = await node.source.buckets('teachers', at);
    expect(Buckets.fromBase64(buckets).differing(teachers)).toEqual([]);
  }
});

test('pages of any size give every row once', async () => {
  await node.store.collection('teachers').insertMany(Array.from({ length: 57 }, (_, i) => ({ _id: `t${i}` })));
  const seen: string[] = [];
  let after: string | null = null;
  do {
    const page = await node.source.snapshot('teachers', after, 10);
    seen.push(...page.rows.map(({ id }) => id));
    after = page.next;
  } while (after !== null);
  expect(seen).toHaveLength(57);
  expect(new Set(seen).size).toBe(57);
});

test('a page stops at 4 MiB and a larger document goes alone', async () => {
  const teachers = node.store.collection('teachers');
  await teachers.insertOne({ _id: 'a', text: 'x'.repeat(6_000_000) });
  for (const _id of ['b', 'c', 'd']) await teachers.insertOne({ _id, text: 'x'.repeat(1_800_000) });
  const first = await node.source.snapshot('teachers', null, 1_000);
  const second = await node.source.snapshot('teachers', first.next, 1_000);
  expect(first.rows.map(({ id }) => id)).toEqual(['"a"']);
  expect(second.rows.map(({ id }) => id)).toEqual(['"b"', '"c"']);
});

test('retention trims the log and the tombstones with it', async () => {
  const { log, store, source, clock } = node;
  await randomWrites(seededRandom(4), 300);
  const retention = new Retention({
    log,
    followers: source.followers,
    policy: { maxAgeMs: 1e12, maxChanges: 50, maxBytes: 1e12, followerMs: 0, followerFactor: 1 },
    clock,
    prune: (logFloor) => store.prune({ now: Date.now(), logFloor }),
    onError: (error) => expect.unreachable(String(error)),
  });
  await retention.sweep();
  await retention.stop();
  const { sequence } = log.head();
  expect(log.floor()).toBe(sequence - 49);
  expect((await source.hello(node.start, { collections: null })).status).toBe('RESYNC');
  const [chain] = await source.chain([log.floor() - 1]);
  expect(chain).toBe(log.floorChain());
});
