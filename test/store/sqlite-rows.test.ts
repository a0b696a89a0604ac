import { Long } from 'bson';
import { describe, expect, it } from 'vitest';
import { documentHash } from '../../src/model/change.ts';
import { type Document, encodeDocument, encodeValue } from '../../src/model/document.ts';
import { Buckets, bucketOf } from '../../src/protocol/digest.ts';
import type { Row } from '../../src/protocol/sync-source.ts';
import type { Transaction } from '../../src/sqlite/database.ts';
import { indexed, keyOf, PLAIN, people, refusalOf } from '../contract/store/fixture.ts';
import { openSqliteStore, type SqliteFixture } from '../support/sqlite-store.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const ALL = { maxChanges: 100_000, maxBytes: 1e9 };

function rowOf(document: Document, version: number): Row {
  return { id: encodeValue(document._id), version, text: encodeDocument(document) };
}

function hashOf(row: Row): string {
  return documentHash('people', row.id, row.version, row.text);
}

/** Runs `work` in one transaction with the store. */
function write<T>(
  fixture: SqliteFixture,
  work: (store: SqliteFixture['store'], transaction: Transaction) => T,
): Promise<T> {
  return fixture.database.transaction((transaction) => work(fixture.store, transaction));
}

async function expectSound(fixture: SqliteFixture): Promise<void> {
  const { buckets } = await fixture.store.scrub('people');
  expect(buckets.differing(fixture.store.buckets('people'))).toEqual([]);
}

describe('versions made elsewhere', () => {
  it('replace older ones only, unless forced', async () => {
    await using fixture = await openSqliteStore(indexed({ n: ['n'] }));
    const put = (n: number, version: number, force?: boolean) =>
      write(fixture, (store, transaction) =>
        store.put(transaction, 'people', rowOf({ _id: 'a', n }, version), 7, force),
      );
    expect(await put(1, 10)).toBe('WRITTEN');
    expect(await put(2, 10)).toBe('SAME');
    expect(await put(2, 9)).toBe('OLDER');
    expect(await people(fixture).findOne({ n: 1 })).toEqual({ _id: 'a', n: 1 });
    expect(await put(2, 11)).toBe('WRITTEN');
    expect(await put(3, 5, true)).toBe('WRITTEN');
    expect(
      await people(fixture)
        .find({ n: { $in: [1, 2, 3] } })
        .toArray(),
    ).toEqual([{ _id: 'a', n: 3 }]);
    const row = rowOf({ _id: 'a', n: 3 }, 5);
    expect(fixture.store.rowState('people', '"a"')).toEqual({ sequence: 7, version: 5, hash: hashOf(row) });
    expect(fixture.store.rowState('people', '"b"')).toBeUndefined();
    await expectSound(fixture);
  });

  it('do not come back once a later deletion is known', async () => {
    await using fixture = await openSqliteStore(PLAIN);
    const put = (version: number, force?: boolean) =>
      write(fixture, (store, transaction) => store.put(transaction, 'people', rowOf({ _id: 'a' }, version), 1, force));
    const remove = (version: number, force?: boolean) =>
      write(fixture, (store, transaction) => store.remove(transaction, 'people', '"a"', version, 2, force));
    expect(await remove(20)).toBe('WRITTEN');
    expect(await put(19)).toBe('OLDER');
    expect(await put(20)).toBe('SAME');
    expect(await put(21)).toBe('WRITTEN');
    expect(await remove(21)).toBe('SAME');
    expect(await remove(15)).toBe('OLDER');
    expect(await remove(15, true)).toBe('WRITTEN');
    expect(await put(14)).toBe('OLDER');
    expect(await put(14, true)).toBe('WRITTEN');
    expect(fixture.store.buckets('people').count).toBe(1);
    await expectSound(fixture);
  });

  it('are stored where something else was expected, and this is told', async () => {
    await using fixture = await openSqliteStore(PLAIN);
    const first = rowOf({ _id: 'a', n: 1 }, 10);
    const put = (row: Row, expected?: string | null) =>
      write(fixture, (store, transaction) => store.put(transaction, 'people', row, 1, false, expected));
    expect(await put(first, null)).toBe('WRITTEN');
    expect(await put(rowOf({ _id: 'a', n: 2 }, 11), hashOf(first))).toBe('WRITTEN');
    expect(await put(rowOf({ _id: 'a', n: 3 }, 12), hashOf(first))).toBe('DIVERGED');
    expect(await put(rowOf({ _id: 'b' }, 12), hashOf(first))).toBe('DIVERGED');
    expect(await put(rowOf({ _id: 'a', n: 4 }, 13), null)).toBe('DIVERGED');
    expect(await put(rowOf({ _id: 'a', n: 5 }, 13), null)).toBe('SAME');
    expect(await put(rowOf({ _id: 'a', n: 6 }, 9), null)).toBe('OLDER');
    expect(await people(fixture).find({}).toArray()).toEqual([{ _id: 'a', n: 4 }, { _id: 'b' }]);
    await write(fixture, (store, transaction) => store.remove(transaction, 'people', '"a"', 20, 2));
    expect(await put(rowOf({ _id: 'a', n: 7 }, 15), null)).toBe('OLDER');
    expect(await put(rowOf({ _id: 'a', n: 8 }, 21), null)).toBe('WRITTEN');
    await expectSound(fixture);
  });

  it('are stored with the hash that came with them, else with their own', async () => {
    await using fixture = await openSqliteStore(PLAIN);
    const row = rowOf({ _id: 'a' }, 10);
    const put = async (hash?: string) => {
      await write(fixture, (store, transaction) =>
        store.put(transaction, 'people', { ...row, hash: hash ?? null }, 1, true),
      );
      return fixture.store.rowState('people', row.id)?.hash;
    };
    expect(await put('1'.repeat(32))).toBe('1'.repeat(32));
    expect(await put()).toBe(hashOf(row));
    await expectSound(fixture);
  });

  it('are indexed by unique indexes, not refused', async () => {
    await using fixture = await openSqliteStore(indexed({ uniqueEmail: ['email'] }));
    await write(fixture, (store, transaction) => {
      for (const _id of [1, 2]) store.put(transaction, 'people', rowOf({ _id, email: 'same' }, 10), 0);
    });
    expect(await people(fixture).countDocuments({ email: 'same' })).toBe(2);
    await refusalOf(people(fixture).insertOne({ _id: 3, email: 'same' }), 'ALREADY_EXISTS');
  });

  it('may write an id as another type of number', async () => {
    await using fixture = await openSqliteStore(indexed({ n: ['n'] }));
    await write(fixture, (store, transaction) => {
      store.put(transaction, 'people', rowOf({ _id: 7, n: 1 }, 10), 0);
      store.put(transaction, 'people', rowOf({ _id: Long.fromNumber(7), n: 1 }, 11), 0);
    });
    expect(await people(fixture).find({ n: 1 }).toArray()).toEqual([{ _id: Long.fromNumber(7), n: 1 }]);
    await expectSound(fixture);
  });

  it('make a copy equal to the original: documents, indexes and digests', async () => {
    const specs = indexed({ uniqueEmail: ['email'], tags: ['tags'] });
    await using primary = await openSqliteStore(specs);
    await using replica = await openSqliteStore(specs);
    const collection = people(primary);
    await collection.insertMany(
      Array.from({ length: 300 }, (_, _id) => ({ _id, email: `m${_id}`, tags: [_id % 5, 'x'] })),
    );
    await collection.updateMany({ tags: 3 }, { $set: { tags: [] } });
    await collection.deleteMany({ tags: 2 });
    await collection.insertOne({ _id: 2, email: 'm7' }).catch(() => undefined);
    const entries = await primary.log.read(0, ALL);
    await replica.database.transaction((transaction) => {
      for (const { id, version, image, sequence, before } of entries) {
        const applied =
          image === null
            ? replica.store.remove(transaction, 'people', id, version, sequence, false, before)
            : replica.store.put(transaction, 'people', { id, version, text: image }, sequence, false, before);
        expect(applied).toBe('WRITTEN');
      }
    });
    expect(replica.store.buckets('people').differing(primary.store.buckets('people'))).toEqual([]);
    for (const filter of [{}, { tags: 1 }, { tags: [] }, { email: 'm7' }]) {
      const wanted = await collection.find(filter).toArray();
      expect(await people(replica).find(filter).toArray()).toEqual(wanted);
    }
    await expectSound(replica);
  });
});

describe('rows', () => {
  async function filled(count: number): Promise<SqliteFixture> {
    const fixture = await openSqliteStore(PLAIN);
    await people(fixture).insertMany(
      Array.from({ length: count }, (_, n) => ({ _id: n % 2 === 0 ? `id${n}` : n, text: 'x'.repeat(n) })),
    );
    return fixture;
  }

  it('come in pages by id, until a number of rows or bytes is reached', async () => {
    await using fixture = await filled(100);
    const ids = (await people(fixture).find({}).toArray()).map(({ _id }) => encodeValue(_id));
    for (const [limit, maxBytes] of [
      [7, 1e9],
      [1, 1e9],
      [1_000, 500],
      [1_000, 1],
      [100, 1e9],
    ] as const) {
      const seen: string[] = [];
      let next: string | null = null;
      do {
        const page = fixture.store.page('people', next, limit, maxBytes);
        expect(page.rows.length).toBeGreaterThan(0);
        expect(page.rows.length).toBeLessThanOrEqual(limit);
        const bytes = page.rows.reduce((sum, { text }) => sum + text.length, 0);
        expect(page.rows.length === 1 || bytes <= maxBytes).toBe(true);
        seen.push(...page.rows.map(({ id }) => id));
        next = page.next;
      } while (next !== null);
      expect(seen).toEqual(ids);
    }
  });

  it('of an empty collection are one empty page', async () => {
    await using fixture = await openSqliteStore(PLAIN);
    expect(fixture.store.page('people', null, 10, 1_000)).toEqual({ rows: [], next: null });
    expect(fixture.store.collections()).toEqual(['people']);
  });

  it('are found by ids and by bucket', async () => {
    await using fixture = await filled(200);
    const { store } = fixture;
    const all = store.page('people', null, 1_000, 1e9).rows;
    expect(store.rows('people', ['3', '"none"', '"id4"'])).toEqual(
      ['3', '"id4"'].map((id) => all.find((row) => row.id === id)),
    );
    const heads = [...new Set(all.map(({ id }) => bucketOf(id)))].flatMap((bucket) =>
      store.bucketRows('people', bucket),
    );
    const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1);
    expect(heads.sort(byId)).toEqual(
      all.map((row) => ({ id: row.id, version: row.version, hash: hashOf(row) })).sort(byId),
    );
  });

  it('that were altered behind the back of the store are found by a scrub', async () => {
    await using fixture = await filled(200);
    await fixture.database.transaction((transaction) =>
      transaction.exec(`UPDATE d_1 SET text = replace(text, 'x', 'y') WHERE id = '"id4"'`),
    );
    const { buckets, position } = await fixture.store.scrub('people');
    expect(position).toEqual({ epoch: 1, sequence: 200 });
    expect(buckets.differing(fixture.store.buckets('people'))).toEqual([bucketOf('"id4"')]);
  });

  it('are scrubbed at one state while others write', async () => {
    await using fixture = await filled(2_000);
    const before = fixture.store.buckets('people').clone();
    const scrubbing = fixture.store.scrub('people');
    await people(fixture).updateMany({ _id: { $gte: 1_500 } }, { $set: { changed: true } });
    const { buckets, position } = await scrubbing;
    expect(position.sequence).toBe(2_000);
    expect(buckets.differing(before)).toEqual([]);
    expect(buckets.differing(fixture.store.buckets('people'))).not.toEqual([]);
    await expectSound(fixture);
  });
});

describe('a rollback', () => {
  it('takes memory back with the file', async () => {
    await using fixture = await openSqliteStore(indexed({ tags: ['tags'] }));
    await people(fixture).insertMany([
      { _id: 1, tags: 'a' },
      { _id: 2, tags: 'b' },
    ]);
    const before = fixture.store.buckets('people').clone();
    const failing = write(fixture, (store, transaction) => {
      store.put(transaction, 'people', rowOf({ _id: 3, tags: ['c', 'd'] }, 99), 0);
      store.put(transaction, 'people', rowOf({ _id: 1, tags: 'z' }, Number.MAX_SAFE_INTEGER), 0);
      store.remove(transaction, 'people', '2', Number.MAX_SAFE_INTEGER, 0);
      expect(store.buckets('people').differing(before)).toHaveLength(3);
      throw new Error('refused');
    });
    await expect(failing).rejects.toThrow('refused');
    expect(fixture.store.buckets('people').differing(before)).toEqual([]);
    await expectSound(fixture);
    expect(
      await people(fixture)
        .find({ tags: { $in: ['a', 'b', 'c', 'z'] } })
        .toArray(),
    ).toHaveLength(2);
    await fixture.reopen(indexed({ tags: ['tags'] }));
    expect(fixture.store.buckets('people').differing(before)).toEqual([]);
  });
});

describe('the clock', () => {
  it('may go backwards, also over a restart: versions do not', async () => {
    let now = 5_000;
    await using fixture = await openSqliteStore(PLAIN, () => now);
    const versions = [(await people(fixture).insertOne({ _id: 'a' })).version];
    now = 1_000;
    versions.push((await people(fixture).insertOne({ _id: 'b' })).version);
    versions.push((await people(fixture).updateOne({ _id: 'b' }, { $set: { n: 1 } })).version);
    await fixture.reopen(PLAIN);
    versions.push((await people(fixture).insertOne({ _id: 'c' })).version);
    now = 9_000;
    versions.push((await people(fixture).updateOne({ _id: 'a' }, { $set: { n: 1 } })).version);
    expect(versions).toEqual([5_000, 5_000, 5_001, 5_001, 9_000]);
  });

  it('may stand still: an id that is deleted and created again gets ever higher versions', async () => {
    await using fixture = await openSqliteStore(PLAIN, () => 1_000);
    const versions = [];
    for (let round = 0; round < 2; round++) {
      versions.push((await people(fixture).insertOne({ _id: 'a' })).version);
      versions.push((await people(fixture).deleteOne({ _id: 'a' })).version);
    }
    expect(versions).toEqual([1_000, 1_001, 1_002, 1_003]);
  });

  it('goes on from the documents when the log has no entry', async () => {
    await using fixture = await openSqliteStore(PLAIN, () => 1_000);
    await write(fixture, (store, transaction) => store.put(transaction, 'people', rowOf({ _id: 'a' }, 7_000), 0));
    await fixture.reopen(PLAIN);
    expect((await people(fixture).insertOne({ _id: 'b' })).version).toBe(7_000);
  });
});

describe('prune', () => {
  it('forgets deletions whose entry has left the log; a version is never given twice even so', async () => {
    let now = 5_000;
    await using fixture = await openSqliteStore(PLAIN, () => now);
    const tombstones = () => fixture.database.reader.prepare('SELECT count(*) AS n FROM tombstones').get()?.n;
    await people(fixture).insertMany([{ _id: 'a' }, { _id: 'b' }]);
    const { version } = await people(fixture).deleteOne({ _id: 'a' });
    await people(fixture).deleteOne({ _id: 'b' });
    await fixture.store.prune({ now, logFloor: 3 });
    expect(tombstones()).toBe(2);
    now = 1_000;
    await fixture.store.prune({ now, logFloor: 4 });
    expect(tombstones()).toBe(1);
    await fixture.store.prune({ now, logFloor: 5 });
    expect(tombstones()).toBe(0);
    await fixture.reopen(PLAIN);
    expect((await people(fixture).insertOne({ _id: 'a' })).version).toBeGreaterThan(version as number);
  });

  it('forgets idempotency keys after more than seven days', async () => {
    const now = 100 * DAY_MS;
    await using fixture = await openSqliteStore(PLAIN, () => now);
    const insert = () => people(fixture).insertOne({ _id: 'a' }, { idempotency: keyOf('key') });
    await insert();
    await people(fixture).updateMany({}, { $set: { n: 1 } }, { operation: keyOf('operation') });
    await fixture.store.prune({ now: now + 7 * DAY_MS, logFloor: 1 });
    expect((await insert()).repeated).toBe(true);
    await fixture.store.prune({ now: now + 9 * DAY_MS, logFloor: 1 });
    await refusalOf(insert(), 'ALREADY_EXISTS');
    for (const table of ['idempotency', 'operations']) {
      expect(fixture.database.reader.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n).toBe(0);
    }
  });

  it('goes on until everything old is gone', async () => {
    await using fixture = await openSqliteStore(PLAIN);
    await people(fixture).insertMany(Array.from({ length: 2_300 }, (_, _id) => ({ _id })));
    await people(fixture).deleteMany({});
    await fixture.store.prune({ now: 0, logFloor: 4_601 });
    expect(fixture.database.reader.prepare('SELECT count(*) AS n FROM tombstones').get()?.n).toBe(0);
  });
});

describe('a bulk write that a crash cut short', () => {
  const documents = Array.from({ length: 1_400 }, (_, _id) => ({ _id, open: true, n: 0 }));

  /** Starts `work`, and ends the process's hold of the database after its first transaction. */
  async function interrupt(fixture: SqliteFixture, work: () => Promise<unknown>): Promise<void> {
    const advanced = new Promise<void>((resolve) => {
      const stop = fixture.log.onAdvance(() => {
        stop();
        resolve();
      });
    });
    const running = expect(work()).rejects.toThrow('closed');
    await advanced;
    await fixture.reopen(PLAIN);
    await running;
  }

  it('is finished by its repetition, each document once (insertMany)', async () => {
    await using fixture = await openSqliteStore(PLAIN);
    const idempotency = documents.map(({ _id }) => keyOf(`insert ${_id}`));
    await interrupt(fixture, () => people(fixture).insertMany(documents, { idempotency }));
    const done = await people(fixture).countDocuments({});
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThan(1_400);
    const result = await people(fixture).insertMany(documents, { idempotency });
    expect(result).toMatchObject({ matchedCount: 1_400, modifiedCount: 1_400, refused: [] });
    expect(fixture.log.head().sequence).toBe(1_400);
    await expectSound(fixture);
  });

  it('is finished by its repetition, each document once (updateMany)', async () => {
    await using fixture = await openSqliteStore(PLAIN);
    await people(fixture).insertMany(documents);
    const run = () => people(fixture).updateMany({ open: true }, { $inc: { n: 1 } }, { operation: keyOf('open') });
    await interrupt(fixture, run);
    expect(await people(fixture).countDocuments({ n: 1 })).toBeLessThan(1_400);
    expect(await run()).toMatchObject({ matchedCount: 1_400, modifiedCount: 1_400 });
    expect(await run()).toMatchObject({ matchedCount: 1_400, modifiedCount: 1_400 });
    expect(await people(fixture).countDocuments({ n: 1 })).toBe(1_400);
    expect(fixture.log.head().sequence).toBe(2_800);
  });

  it('is finished by its repetition, each document once (deleteMany)', async () => {
    await using fixture = await openSqliteStore(PLAIN);
    await people(fixture).insertMany(documents);
    const run = () => people(fixture).deleteMany({ n: 0 }, { operation: keyOf('gone') });
    await interrupt(fixture, run);
    const result = await run();
    expect(result).toMatchObject({ matchedCount: 1_400, modifiedCount: 1_400 });
    expect(result.documents).toEqual(documents.slice(0, 1_000));
    expect(fixture.store.buckets('people').differing(new Buckets())).toEqual([]);
  });
});

describe('a bulk write during which others write', () => {
  it('leaves alone what no longer matches when its turn comes, or is gone', async () => {
    await using fixture = await openSqliteStore(PLAIN);
    const collection = people(fixture);
    await collection.insertMany(Array.from({ length: 700 }, (_, _id) => ({ _id, open: true })));
    const others: Promise<unknown>[] = [];
    const stop = fixture.log.onAdvance(() => {
      stop();
      // Queued before the second transaction of the bulk write.
      others.push(collection.updateOne({ _id: 600 }, { $set: { open: false } }), collection.deleteOne({ _id: 601 }));
    });
    const result = await collection.updateMany({ open: true }, { $set: { stamped: true } });
    await Promise.all(others);
    expect(result).toMatchObject({ matchedCount: 698, modifiedCount: 698 });
    expect(await collection.findOne({ _id: 600 })).toEqual({ _id: 600, open: false });
    expect(await collection.findOne({ _id: 601 })).toBeNull();
  });
});

describe('a long read', () => {
  it('gives way to other work', async () => {
    await using fixture = await openSqliteStore(PLAIN);
    await people(fixture).insertMany(Array.from({ length: 20_000 }, (_, _id) => ({ _id, text: 'x'.repeat(100) })));
    let turns = 0;
    let running = true;
    const turn = () => {
      turns += 1;
      if (running) setImmediate(turn);
    };
    turn();
    const found = await people(fixture).find({ text: 'y' }).toArray();
    running = false;
    expect(found).toEqual([]);
    expect(turns).toBeGreaterThan(1);
  });
});

describe('the file', () => {
  it('of another format is not opened', async () => {
    await using fixture = await openSqliteStore(PLAIN);
    await fixture.database.transaction((transaction) =>
      transaction.exec("UPDATE meta SET value = 99 WHERE key = 'store.format'"),
    );
    await refusalOf(fixture.reopen(PLAIN), 'CONFIG_INVALID');
  });
});
