import { expect, it } from 'vitest';
import type { Document } from '../../../src/model/document.ts';
import { entriesOf, indexed, type OpenStore, PLAIN, people, refusalOf } from './fixture.ts';

export function writeContract(open: OpenStore): void {
  it('inserts, and answers with the stored document, its version and position', async () => {
    await using fixture = await open(PLAIN);
    const document = { _id: 'a', name: 'Ada', nothing: undefined };
    const result = await people(fixture).insertOne(document);
    expect(result).toEqual({
      matchedCount: 1,
      modifiedCount: 1,
      document: { _id: 'a', name: 'Ada' },
      version: expect.any(Number),
      position: { epoch: 1, sequence: 1 },
      repeated: false,
    });
    expect(Object.hasOwn(result.document as Document, 'nothing')).toBe(false);
    expect(await people(fixture).findOne({ _id: 'a' })).toEqual({ _id: 'a', name: 'Ada' });
  });

  it('refuses a second document with an id', async () => {
    await using fixture = await open(PLAIN);
    await people(fixture).insertOne({ _id: 'a', n: 1 });
    const error = await refusalOf(people(fixture).insertOne({ _id: 'a', n: 2 }), 'ALREADY_EXISTS');
    expect(error.details.fields).toEqual(['_id']);
    expect(await people(fixture).find({}).toArray()).toEqual([{ _id: 'a', n: 1 }]);
  });

  it('refuses a document without an id, or with one that is no value', async () => {
    await using fixture = await open(PLAIN);
    for (const document of [{}, { _id: undefined }, { _id: [1] }, { _id: /a/ }] as Document[]) {
      await refusalOf(people(fixture).insertOne(document), 'VALIDATION_FAILED');
    }
    expect(await people(fixture).countDocuments({})).toBe(0);
  });

  it('updates by id', async () => {
    await using fixture = await open(PLAIN);
    const { version } = await people(fixture).insertOne({ _id: 'a', n: 1, list: [1] });
    const result = await people(fixture).updateOne({ _id: 'a' }, { $inc: { n: 2 }, $push: { list: 2 } });
    expect(result).toMatchObject({ matchedCount: 1, modifiedCount: 1, position: { epoch: 1, sequence: 2 } });
    expect(result.document).toEqual({ _id: 'a', n: 3, list: [1, 2] });
    expect(result.version).toBeGreaterThan(version as number);
    expect(await people(fixture).findOne({ _id: 'a' })).toEqual(result.document);
  });

  it('updates, replaces and deletes the first document found in the order of ids', async () => {
    await using fixture = await open(indexed({ group: ['group'] }));
    const collection = people(fixture);
    await collection.insertMany(['c', 'a', 'b'].map((_id) => ({ _id, group: 1 })));
    expect((await collection.updateOne({ group: 1 }, { $set: { hit: true } })).document?._id).toBe('a');
    expect((await collection.replaceOne({ group: 1, hit: null }, { group: 2 })).document).toEqual({
      _id: 'b',
      group: 2,
    });
    expect((await collection.deleteOne({ group: 1 })).document?._id).toBe('a');
    expect(await collection.find({}).toArray()).toEqual([
      { _id: 'b', group: 2 },
      { _id: 'c', group: 1 },
    ]);
  });

  it('replaces all fields but the id, which cannot change', async () => {
    await using fixture = await open(PLAIN);
    await people(fixture).insertOne({ _id: 'a', n: 1, m: 2 });
    expect((await people(fixture).replaceOne({ _id: 'a' }, { m: 3 })).document).toEqual({ _id: 'a', m: 3 });
    await refusalOf(people(fixture).replaceOne({ _id: 'a' }, { _id: 'b', m: 3 }), 'VALIDATION_FAILED');
    await refusalOf(people(fixture).updateOne({ _id: 'a' }, { $set: { _id: 'b' } }), 'VALIDATION_FAILED');
    expect(await people(fixture).find({}).toArray()).toEqual([{ _id: 'a', m: 3 }]);
  });

  it('answers with nothing when nothing was found', async () => {
    await using fixture = await open(PLAIN);
    const { position } = await people(fixture).insertOne({ _id: 'a' });
    const nothing = { matchedCount: 0, modifiedCount: 0, document: null, version: null, position, repeated: false };
    expect(await people(fixture).updateOne({ _id: 'b' }, { $set: { n: 1 } })).toEqual(nothing);
    expect(await people(fixture).updateOne({ n: 1 }, { $set: { n: 1 } })).toEqual(nothing);
    expect(await people(fixture).replaceOne({ _id: 'b' }, {})).toEqual(nothing);
    expect(await people(fixture).deleteOne({ _id: 'b' })).toEqual(nothing);
  });

  it('writes nothing when an update changes nothing', async () => {
    await using fixture = await open(PLAIN);
    const { version, position } = await people(fixture).insertOne({ _id: 'a', n: 1 });
    const same = {
      matchedCount: 1,
      modifiedCount: 0,
      document: { _id: 'a', n: 1 },
      version,
      position,
      repeated: false,
    };
    expect(await people(fixture).updateOne({ _id: 'a' }, { $set: { n: 1 } })).toEqual(same);
    expect(await people(fixture).replaceOne({ _id: 'a' }, { n: 1 })).toEqual(same);
    expect((await entriesOf(fixture)).length).toBe(1);
  });

  it('writes only the version that was asked for', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    const first = await collection.insertOne({ _id: 'a', n: 1 });
    const ifVersion = first.version as number;
    const second = await collection.updateOne({ _id: 'a' }, { $set: { n: 2 } }, { ifVersion });
    for (const stale of [
      () => collection.updateOne({ _id: 'a' }, { $set: { n: 3 } }, { ifVersion }),
      () => collection.updateOne({ n: 2 }, { $set: { n: 3 } }, { ifVersion }),
      () => collection.replaceOne({ _id: 'a' }, { n: 3 }, { ifVersion }),
      () => collection.deleteOne({ _id: 'a' }, { ifVersion }),
    ]) {
      const error = await refusalOf(stale(), 'CONFLICT');
      expect(error.details).toEqual({ current: { _id: 'a', n: 2 }, currentVersion: second.version });
    }
    expect((await collection.deleteOne({ _id: 'a' }, { ifVersion: second.version as number })).modifiedCount).toBe(1);
  });

  it('answers a delete with the removed document and a version of its own', async () => {
    await using fixture = await open(PLAIN);
    const { version } = await people(fixture).insertOne({ _id: 'a', n: 1 });
    const result = await people(fixture).deleteOne({ _id: 'a' });
    expect(result).toMatchObject({ matchedCount: 1, modifiedCount: 1, document: { _id: 'a', n: 1 } });
    expect(result.version).toBeGreaterThan(version as number);
    expect(await people(fixture).countDocuments({})).toBe(0);
  });

  it('goes on with the versions of an id that is deleted and created again, also after a restart', async () => {
    await using fixture = await open(PLAIN);
    const versions: number[] = [];
    for (let round = 0; round < 3; round++) {
      for (let change = 0; change < 3; change++) {
        const result =
          change === 0
            ? await people(fixture).insertOne({ _id: 'a', n: 0 })
            : await people(fixture).updateOne({ _id: 'a' }, { $inc: { n: 1 } });
        versions.push(result.version as number);
      }
      versions.push((await people(fixture).deleteOne({ _id: 'a' })).version as number);
      await fixture.reopen(PLAIN);
    }
    expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
  });

  it('stores a document of 16 MiB, less what the store adds to it, and refuses a larger one', async () => {
    await using fixture = await open(PLAIN);
    const frame = JSON.stringify({ _id: 'a', text: '' }).length;
    const spare = fixture.store.capabilities.anyText ? 0 : 2_048;
    const text = 'x'.repeat(16 * 1024 * 1024 - frame - spare);
    await people(fixture).insertOne({ _id: 'a', text });
    expect(((await people(fixture).findOne({ _id: 'a' })) as { text: string }).text).toHaveLength(text.length);
    const larger = `${text}y${'y'.repeat(spare)}`;
    await refusalOf(people(fixture).insertOne({ _id: 'b', text: larger }), 'VALIDATION_FAILED');
    await refusalOf(people(fixture).updateOne({ _id: 'a' }, { $set: { text: larger } }), 'VALIDATION_FAILED');
    expect(await people(fixture).countDocuments({})).toBe(1);
    expect((await people(fixture).deleteOne({ _id: 'a' })).modifiedCount).toBe(1);
  });

  it('keeps what was written over a restart', async () => {
    await using fixture = await open(PLAIN);
    await people(fixture).insertMany([{ _id: 'a', n: 1 }, { _id: 'b' }, { _id: 'c' }]);
    await people(fixture).updateOne({ _id: 'a' }, { $set: { n: 2 } });
    await people(fixture).deleteOne({ _id: 'b' });
    const head = fixture.log.head();
    await fixture.reopen(PLAIN);
    expect(await people(fixture).find({}).toArray()).toEqual([{ _id: 'a', n: 2 }, { _id: 'c' }]);
    expect(fixture.log.head()).toEqual(head);
    expect((await people(fixture).insertOne({ _id: 'd' })).position.sequence).toBe(head.sequence + 1);
  });

  it('writes what many send at once, each whole', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    await collection.insertOne({ _id: 'sum', n: 0 });
    const writes = Array.from({ length: 50 }, (_, index) => [
      collection.updateOne({ _id: 'sum' }, { $inc: { n: 1 } }),
      collection.updateOne({ n: { $gte: 0 } }, { $inc: { n: 1 } }),
      collection.insertOne({ _id: `id${index % 25}` }).catch((error: { code: string }) => error.code),
    ]).flat();
    const results = await Promise.all(writes);
    expect(await collection.findOne({ _id: 'sum' })).toEqual({ _id: 'sum', n: 100 });
    expect(results.filter((result) => result === 'ALREADY_EXISTS')).toHaveLength(25);
    expect((await entriesOf(fixture)).map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 126 }, (_, index) => index + 1),
    );
  });

  it('does not make a write that nobody waits for any more', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    await collection.insertOne({ _id: 'a', n: 0 });
    const reason = new Error('given up');
    const options = { signal: AbortSignal.abort(reason) };
    const writes = [
      () => collection.insertOne({ _id: 'b' }, options),
      () => collection.insertMany([{ _id: 'b' }, { _id: 'c' }], options),
      () => collection.updateOne({ _id: 'a' }, { $inc: { n: 1 } }, options),
      () => collection.updateOne({ n: 0 }, { $inc: { n: 1 } }, options),
      () => collection.updateMany({ n: 0 }, { $inc: { n: 1 } }, options),
      () => collection.replaceOne({ _id: 'a' }, { n: 2 }, options),
      () => collection.deleteOne({ _id: 'a' }, options),
      () => collection.deleteMany({ n: 0 }, options),
    ];
    for (const write of writes) await expect(write()).rejects.toBe(reason);
    expect(await collection.find({}).toArray()).toEqual([{ _id: 'a', n: 0 }]);
    expect(await entriesOf(fixture)).toHaveLength(1);
  });
}
