import { describe, expect, it } from 'vitest';
import { type Document, encodeDocument, encodeValue } from '../../src/model/document.ts';
import { Buckets, bucketOf } from '../../src/protocol/digest.ts';
import type { Transaction } from '../../src/sqlite/database.ts';
import { rowSql } from '../../src/store/table-sql.ts';
import { PLAIN, refusalOf } from '../contract/store/fixture.ts';
import { openSqliteStore, type SqliteFixture } from '../support/sqlite-store.ts';

const INDEXES = [
  { name: 'n_1', paths: ['n'], unique: false },
  { name: 'code_1', paths: ['code'], unique: true },
];
const PEOPLE = { name: 'people', indexes: INDEXES };
const PLACES = { name: 'places', indexes: INDEXES };

function put(fixture: SqliteFixture, transaction: Transaction, collection: string, document: Document): void {
  const row = { id: encodeValue(document._id), version: 1, text: encodeDocument(document) };
  fixture.store.put(transaction, collection, row, 0);
}

/** Names of tables, indexes and views in the file. */
function stored({ database }: SqliteFixture): string[] {
  const rows = database.reader.prepare('SELECT name FROM sqlite_schema ORDER BY name').all();
  return rows.map(({ name }) => String(name));
}

function tablesOf(fixture: SqliteFixture): string[] {
  return stored(fixture).filter((name) => /^[di]_\d+$/.test(name));
}

/** Reads to the end, document by document. */
async function countOf(found: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of found) count += 1;
  return count;
}

describe('a collection without documents', () => {
  it('costs no table: 500 make the file no larger than one', async () => {
    const many = Array.from({ length: 500 }, (_, i) => ({ name: `things${i}`, indexes: INDEXES }));
    await using one = await openSqliteStore([PEOPLE]);
    await using all = await openSqliteStore(many);
    expect(stored(all)).toEqual(stored(one));
    await all.reopen(many);
    expect(stored(all)).toEqual(stored(one));
  });

  it('is read as an empty one', async () => {
    await using fixture = await openSqliteStore([PEOPLE]);
    const { store } = fixture;
    const people = store.collection('people');
    expect(await people.findOne({ _id: 'a' })).toBeNull();
    expect(await people.find({ n: { $gt: 1 }, code: 'x' }, { sort: { n: -1 }, limit: 5 }).toArray()).toEqual([]);
    expect(await people.find({ other: 1 }).toArray()).toEqual([]);
    expect(await countOf(people.find({}))).toBe(0);
    expect(await people.findGrouped('n', [1, 2], {})).toEqual([[], []]);
    expect(await people.findGrouped('_id', ['a'], {})).toEqual([[]]);
    expect(await people.countDocuments({ n: 1 })).toBe(0);
    expect(await people.updateOne({ n: 1 }, { $set: { n: 2 } })).toMatchObject({ matchedCount: 0 });
    expect(await people.deleteMany({ n: 1 })).toMatchObject({ matchedCount: 0 });
    expect(store.page('people', null, 10, 1e6)).toEqual({ rows: [], next: null });
    expect(store.rows('people', ['"a"'])).toEqual([]);
    expect(store.bucketRows('people', 0)).toEqual([]);
    expect(store.rowState('people', '"a"')).toBeUndefined();
    expect((await store.scrub('people')).buckets.count).toBe(0);
    await fixture.database.transaction((transaction) => {
      store.recount(transaction, 'people', 0);
      store.takeOver(transaction, []);
    });
    expect(tablesOf(fixture)).toEqual([]);
  });

  it('remembers a deletion all the same', async () => {
    await using fixture = await openSqliteStore([PEOPLE]);
    const remove = await fixture.database.transaction((transaction) =>
      fixture.store.remove(transaction, 'people', '"a"', 5, 0),
    );
    expect(remove).toBe('WRITTEN');
    await fixture.reopen([PEOPLE]);
    await fixture.database.transaction((transaction) => put(fixture, transaction, 'people', { _id: 'a' }));
    expect(await fixture.store.collection('people').findOne({ _id: 'a' })).toBeNull();
    expect(tablesOf(fixture)).toEqual([]);
  });

  it('gets the indexes that are asked for when its first document comes', async () => {
    await using fixture = await openSqliteStore(PLAIN);
    await fixture.reopen([PEOPLE]);
    const people = () => fixture.store.collection('people');
    await people().insertOne({ _id: 'a', n: 1, code: 'x' });
    expect(tablesOf(fixture)).toEqual(['d_1', 'i_1', 'i_2']);
    await refusalOf(people().insertOne({ _id: 'b', code: 'x' }), 'ALREADY_EXISTS');
    await fixture.reopen([{ name: 'people', indexes: [{ name: 'code_1', paths: ['code'], unique: false }] }]);
    expect(tablesOf(fixture)).toEqual(['d_1', 'i_1']);
    await people().insertOne({ _id: 'b', code: 'x' });
    expect(await people().find({ code: 'x' }).toArray()).toHaveLength(2);
    await refusalOf(fixture.reopen([PEOPLE]), 'ALREADY_EXISTS');
  });
});

describe('the first document of a collection', () => {
  it('takes the tables back with it when it is rolled back', async () => {
    await using fixture = await openSqliteStore([PEOPLE, PLACES]);
    const { database, store } = fixture;
    const refused = database.transaction((transaction) => {
      put(fixture, transaction, 'people', { _id: 'a', n: [1, 2], code: 'x' });
      throw new Error('refused');
    });
    // Of the same group, after it: here the tables are made once more.
    const written = database.transaction((transaction) =>
      put(fixture, transaction, 'people', { _id: 'b', n: 1, code: 'x' }),
    );
    await expect(refused).rejects.toThrow('refused');
    await written;
    const people = store.collection('people');
    expect(await people.find({ n: 1 }, { sort: { n: 1 } }).toArray()).toEqual([{ _id: 'b', n: 1, code: 'x' }]);
    expect(await people.findOne({ code: 'x' })).toMatchObject({ _id: 'b' });

    const alone = database.transaction((transaction) => {
      put(fixture, transaction, 'places', { _id: 'a', n: 1 });
      throw new Error('refused');
    });
    await expect(alone).rejects.toThrow('refused');
    expect(await store.collection('places').find({ n: 1 }).toArray()).toEqual([]);
    expect(tablesOf(fixture)).toEqual(['d_1', 'i_1', 'i_2']);
    await store.collection('places').insertOne({ _id: 'a', n: 1 });
    expect(await store.collection('places').find({ n: 1 }).toArray()).toHaveLength(1);
    expect(tablesOf(fixture)).toEqual(['d_1', 'd_2', 'i_1', 'i_2', 'i_3', 'i_4']);
  });

  it('does not disturb a read that goes on meanwhile', async () => {
    await using fixture = await openSqliteStore([PEOPLE, PLACES]);
    const [people, places] = [fixture.store.collection('people'), fixture.store.collection('places')];
    await people.insertMany(Array.from({ length: 100 }, (_, n) => ({ _id: n, n })));
    let seen = 0;
    for await (const _ of people.find({ n: { $gte: 0 } }, { sort: { n: 1 } })) {
      seen += 1;
      if (seen === 10) await places.insertOne({ _id: 'a', n: 1 });
      if (seen === 20) expect(await countOf(places.find({ n: 1 }))).toBe(1);
    }
    expect(seen).toBe(100);
  });
});

/** Makes the file what formats 1 and 2 had: a row for each bucket, and the index by bucket in one piece. */
async function makeOld({ database, store }: SqliteFixture, format: number): Promise<void> {
  await database.transaction((transaction) => {
    transaction.exec('CREATE TABLE buckets (bucket INTEGER PRIMARY KEY, state BLOB NOT NULL) STRICT');
    for (const [i, name] of store.collections().entries()) {
      for (const bucket of store.buckets(name).differing(new Buckets())) {
        transaction
          .prepare('INSERT INTO buckets (bucket, state) VALUES (?, ?)')
          .run((i + 1) * Buckets.SIZE + bucket, store.buckets(name).bytesOf(bucket));
      }
    }
    transaction.exec(`
      DROP TABLE bucket_runs;
      DROP INDEX d_1_bucket;
      CREATE INDEX d_1_bucket ON d_1 (bucket);
      UPDATE meta SET value = ${format} WHERE key = 'store.format'`);
  });
}

describe('a file of format 2', () => {
  it('has its buckets gathered and its index by bucket made anew, once', async () => {
    await using fixture = await openSqliteStore([PLACES, PEOPLE]);
    await fixture.store.collection('places').insertMany(Array.from({ length: 300 }, (_, n) => ({ _id: n })));
    const before = fixture.store.buckets('places').toBase64();
    await makeOld(fixture, 2);
    for (const _ of ['converted', 'as it is']) {
      await fixture.reopen([PLACES, PEOPLE]);
      expect(fixture.store.buckets('places').toBase64()).toBe(before);
      expect(stored(fixture)).not.toContain('buckets');
      const heads = Array.from({ length: Buckets.SIZE }, (_, bucket) => fixture.store.bucketRows('places', bucket));
      expect(heads.flat()).toHaveLength(300);
    }
  });

  it('is not converted by halves', async () => {
    await using fixture = await openSqliteStore([PEOPLE]);
    await fixture.store.collection('people').insertMany(['a', 'b'].map((code) => ({ _id: code, code })));
    const before = fixture.store.buckets('people').toBase64();
    await makeOld(fixture, 2);
    await fixture.database.transaction((transaction) =>
      transaction.exec(`UPDATE d_1 SET text = replace(text, '"code":"b"', '"code":"a"')`),
    );
    const unique = [{ name: 'code_2', paths: ['code'], unique: true }];
    await refusalOf(fixture.reopen([{ ...PEOPLE, indexes: unique }]), 'ALREADY_EXISTS');
    await fixture.reopen([PEOPLE]);
    expect(stored(fixture)).not.toContain('buckets');
    expect(fixture.store.buckets('people').toBase64()).toBe(before);
  });
});

describe('the index by bucket', () => {
  it('finds the rows of every segment, whatever was deleted between', async () => {
    await using fixture = await openSqliteStore(PLAIN);
    const people = fixture.store.collection('people');
    await people.insertMany(Array.from({ length: 14_000 }, (_, n) => ({ _id: n })));
    await people.deleteMany({ _id: { $gte: 3_000, $lt: 9_000 } });
    const expected = new Map<number, number>();
    for (let n = 0; n < 14_000; n++) {
      if (n >= 3_000 && n < 9_000) continue;
      const bucket = bucketOf(encodeValue(n));
      expected.set(bucket, (expected.get(bucket) ?? 0) + 1);
    }
    for (const bucket of [0, 1, 77, 2_048, 4_095]) {
      const rows = fixture.store.bucketRows('people', bucket);
      expect(rows).toHaveLength(expected.get(bucket) ?? 0);
      expect(rows.every(({ id }) => bucketOf(id) === bucket)).toBe(true);
    }
  });

  it('is what SQLite takes for it', async () => {
    await using fixture = await openSqliteStore(PLAIN);
    await fixture.store.collection('people').insertOne({ _id: 'a' });
    const plan = fixture.database.reader.prepare(`EXPLAIN QUERY PLAN ${rowSql('d_1').bucketRows}`).all(0);
    expect(plan.map(({ detail }) => detail)).toContainEqual(
      expect.stringMatching(/^SEARCH d_1 USING INDEX d_1_bucket \(<expr>=\? AND bucket=\?\)$/),
    );
  });
});

describe('a file of format 1', () => {
  it('has tables for empty collections too, and goes on with them', async () => {
    await using fixture = await openSqliteStore([PEOPLE, PLACES]);
    await fixture.store.collection('people').insertOne({ _id: 'a', n: 1, code: 'x' });
    await makeOld(fixture, 1);
    await fixture.database.transaction((transaction) =>
      transaction.exec(`
        DROP VIEW no_rows;
        DROP VIEW no_entries;
        CREATE TABLE d_2 (
          row INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, id TEXT NOT NULL, bucket INTEGER NOT NULL,
          version INTEGER NOT NULL, hash TEXT NOT NULL, sequence INTEGER NOT NULL, text TEXT NOT NULL
        ) STRICT;
        CREATE INDEX d_2_bucket ON d_2 (bucket);
        INSERT INTO indexes (collection, name, paths, is_unique, multikey) VALUES (2, 'n_1', '["n"]', 0, 0);
        CREATE TABLE i_3 (key BLOB PRIMARY KEY, row INTEGER NOT NULL) STRICT, WITHOUT ROWID`),
    );
    await fixture.reopen([PEOPLE, PLACES, { name: 'things', indexes: INDEXES }]);
    expect(tablesOf(fixture)).toEqual(['d_1', 'd_2', 'i_1', 'i_2', 'i_3', 'i_4']);
    for (const name of ['places', 'things']) await fixture.store.collection(name).insertOne({ _id: 'b', n: 2 });
    for (const name of ['people', 'places', 'things']) {
      expect(
        await fixture.store
          .collection(name)
          .find({ n: { $gte: 1 } })
          .toArray(),
      ).toHaveLength(1);
      const { buckets } = await fixture.store.scrub(name);
      expect(buckets.differing(fixture.store.buckets(name))).toEqual([]);
    }
  });
});
