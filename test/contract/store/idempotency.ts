import { expect, it } from 'vitest';
import { entriesOf, indexed, keyOf, type OpenStore, PLAIN, people, refusalOf } from './fixture.ts';

export function idempotencyContract(open: OpenStore): void {
  it('answers a repeated insert with the first result', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    const idempotency = keyOf('insert');
    const first = await collection.insertOne({ _id: 'a', n: 1 }, { idempotency });
    await collection.updateOne({ _id: 'a' }, { $set: { n: 2 } });
    expect(await collection.insertOne({ _id: 'a', n: 1 }, { idempotency })).toEqual({ ...first, repeated: true });
    await fixture.reopen(PLAIN);
    expect(await people(fixture).insertOne({ _id: 'a', n: 1 }, { idempotency })).toEqual({ ...first, repeated: true });
    expect((await entriesOf(fixture)).length).toBe(2);
  });

  it('answers a repeated update with the first result, whatever the filter finds now', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    const { version } = await collection.insertOne({ _id: 'a', n: 1 });
    const options = { idempotency: keyOf('update'), ifVersion: version as number };
    const first = await collection.updateOne({ n: 1 }, { $inc: { n: 1 } }, options);
    await collection.insertOne({ _id: 'b', n: 1 });
    expect(await collection.updateOne({ n: 1 }, { $inc: { n: 1 } }, options)).toEqual({ ...first, repeated: true });
    const byId = await collection.updateOne({ _id: 'a' }, { $inc: { n: 1 } }, options);
    expect(byId).toEqual({ ...first, repeated: true });
    await collection.deleteOne({ _id: 'a' });
    expect(await collection.replaceOne({ _id: 'a' }, { n: 9 }, options)).toEqual({ ...first, repeated: true });
  });

  it('answers a repeated delete with the document that was removed', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    await collection.insertOne({ _id: 'a', n: 1 });
    const first = await collection.deleteOne({ _id: 'a' }, { idempotency: keyOf('delete') });
    await collection.insertOne({ _id: 'a', n: 2 });
    const second = await collection.deleteOne({ _id: 'a' }, { idempotency: keyOf('delete') });
    expect(second).toEqual({ ...first, repeated: true });
    expect(await collection.findOne({ _id: 'a' })).toEqual({ _id: 'a', n: 2 });
  });

  it('gives the current document when the log no longer has that version', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    const first = await collection.insertOne({ _id: 'a', n: 1 }, { idempotency: keyOf('insert') });
    await collection.updateOne({ _id: 'a' }, { $set: { n: 2 } });
    await fixture.log.trim(2);
    const again = await collection.insertOne({ _id: 'a', n: 1 }, { idempotency: keyOf('insert') });
    expect(again).toEqual({ ...first, document: { _id: 'a', n: 2 }, repeated: true });
  });

  it('refuses a key that was used with other arguments', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    await collection.insertOne({ _id: 'a' }, { idempotency: keyOf('key') });
    const other = { idempotency: keyOf('key', 'other') };
    await refusalOf(collection.insertOne({ _id: 'b' }, other), 'VALIDATION_FAILED');
    await refusalOf(collection.updateOne({ _id: 'a' }, { $set: { n: 1 } }, other), 'VALIDATION_FAILED');
    await refusalOf(collection.deleteOne({ _id: 'a' }, other), 'VALIDATION_FAILED');
    expect(await collection.find({}).toArray()).toEqual([{ _id: 'a' }]);
  });

  it('does not remember what found nothing, nor what was refused: it is tried again', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    const idempotency = keyOf('later');
    expect((await collection.updateOne({ _id: 'a' }, { $set: { n: 1 } }, { idempotency })).matchedCount).toBe(0);
    await collection.insertOne({ _id: 'a' });
    await refusalOf(collection.insertOne({ _id: 'a' }, { idempotency }), 'ALREADY_EXISTS');
    const result = await collection.updateOne({ _id: 'a' }, { $set: { n: 1 } }, { idempotency });
    expect(result).toMatchObject({ modifiedCount: 1, repeated: false });
  });

  it('remembers an update that found the document as it should be: a late repetition undoes nobody', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    await collection.insertOne({ _id: 'a', n: 1 });
    const run = () => people(fixture).updateOne({ _id: 'a' }, { $set: { n: 1 } }, { idempotency: keyOf('same') });
    const first = await run();
    expect(first).toMatchObject({ matchedCount: 1, modifiedCount: 0, repeated: false });
    await collection.updateOne({ _id: 'a' }, { $set: { n: 2 } });
    expect(await run()).toEqual({ ...first, repeated: true });
    await collection.deleteOne({ _id: 'a' });
    await fixture.reopen(PLAIN);
    expect(await run()).toEqual({ ...first, repeated: true });
    const other = people(fixture).deleteOne({ _id: 'a' }, { idempotency: keyOf('same', 'other') });
    await refusalOf(other, 'VALIDATION_FAILED');
  });

  it('inserts once when the same insert is sent twice at once', async () => {
    await using fixture = await open(PLAIN);
    const insert = () => people(fixture).insertOne({ _id: 'a' }, { idempotency: keyOf('twice') });
    const [first, second] = await Promise.all([insert(), insert()]);
    expect([first?.repeated, second?.repeated]).toEqual([false, true]);
    expect(second).toEqual({ ...first, repeated: true });
  });

  it('recognises each document of a repeated insertMany, also when only some were written', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    const documents = Array.from({ length: 600 }, (_, index) => ({ _id: index }));
    const idempotency = documents.map(({ _id }) => keyOf(`many ${_id}`));
    await collection.insertMany(documents.slice(0, 250), { idempotency: idempotency.slice(0, 250) });
    await collection.updateOne({ _id: 3 }, { $set: { n: 1 } });
    const result = await collection.insertMany(documents, { idempotency });
    expect(result).toMatchObject({ matchedCount: 600, modifiedCount: 600, refused: [], position: { sequence: 601 } });
    expect(result.documents).toEqual(documents);
    const again = await collection.insertMany(documents, { idempotency });
    expect(again).toEqual(result);
    expect((await entriesOf(fixture)).length).toBe(601);
  });

  it('does a repeated updateMany only once, and leaves alone what matches since', async () => {
    await using fixture = await open(indexed({ open: ['open'] }));
    const collection = people(fixture);
    await collection.insertMany(Array.from({ length: 700 }, (_, index) => ({ _id: index, open: true, n: 0 })));
    const run = () =>
      collection.updateMany({ open: true }, { $set: { open: false }, $inc: { n: 1 } }, { operation: keyOf('close') });
    const first = await run();
    await collection.insertOne({ _id: 1_000, open: true, n: 0 });
    expect(await run()).toEqual(first);
    expect(await collection.countDocuments({ n: 1 })).toBe(700);
    expect(await collection.countDocuments({ open: true })).toBe(1);
    const other = collection.updateMany({}, { $inc: { n: 1 } }, { operation: keyOf('close', 'other') });
    await refusalOf(other, 'VALIDATION_FAILED');
  });

  it('remembers an updateMany or deleteMany that wrote nothing', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    const close = () => collection.updateMany({ open: true }, { $set: { open: false } }, { operation: keyOf('close') });
    const clean = () => collection.deleteMany({ open: true }, { operation: keyOf('clean') });
    const nothing = await close();
    expect(nothing).toMatchObject({ matchedCount: 0, modifiedCount: 0 });
    expect(await clean()).toEqual(nothing);
    await collection.insertOne({ _id: 1, open: true });
    expect(await close()).toEqual(nothing);
    expect(await clean()).toEqual(nothing);
    expect(await collection.find({}).toArray()).toEqual([{ _id: 1, open: true }]);
    const other = collection.deleteMany({}, { operation: keyOf('close', 'other') });
    await refusalOf(other, 'VALIDATION_FAILED');
  });

  it('does an updateMany or deleteMany once when it is sent twice at once', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    await collection.insertMany(Array.from({ length: 700 }, (_, index) => ({ _id: index, n: 0 })));
    const count = () => collection.updateMany({}, { $inc: { n: 1 } }, { operation: keyOf('count') });
    const [first, second] = await Promise.all([count(), count()]);
    expect(first).toMatchObject({ matchedCount: 700, modifiedCount: 700, refused: [] });
    expect(second).toEqual(first);
    expect(await collection.countDocuments({ n: 1 })).toBe(700);
    const clean = () => collection.deleteMany({}, { operation: keyOf('clean') });
    const [gone, again] = await Promise.all([clean(), clean()]);
    expect(gone).toMatchObject({ matchedCount: 700, modifiedCount: 700, refused: [] });
    expect(again).toEqual(gone);
  });

  it('refuses an insertMany with other arguments as a whole', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    await collection.insertMany([{ _id: 1 }], { idempotency: [keyOf('many 0')] });
    const others = [keyOf('many 0', 'other'), keyOf('many 1', 'other')];
    await refusalOf(collection.insertMany([{ _id: 2 }, { _id: 3 }], { idempotency: others }), 'VALIDATION_FAILED');
    expect(await collection.find({}).toArray()).toEqual([{ _id: 1 }]);
  });

  it('does a repeated deleteMany only once', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    await collection.insertMany([
      { _id: 1, old: true },
      { _id: 2, old: true },
      { _id: 3, old: false },
    ]);
    const run = () => collection.deleteMany({ old: true }, { operation: keyOf('clean') });
    const first = await run();
    expect(first.documents).toEqual([
      { _id: 1, old: true },
      { _id: 2, old: true },
    ]);
    await collection.insertOne({ _id: 1, old: true });
    expect(await run()).toEqual(first);
    expect(await collection.countDocuments({})).toBe(2);
  });

  it('writes the key into the log, one of its own for each document of a bulk write', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    await collection.insertOne({ _id: 1 }, { idempotency: keyOf('one') });
    await collection.insertOne({ _id: 2 });
    await collection.updateMany({}, { $set: { n: 1 } }, { operation: keyOf('all') });
    const keys = (await entriesOf(fixture)).map(({ key }) => key);
    expect(keys.slice(0, 2)).toEqual([keyOf('one').key, null]);
    expect(keys.slice(2)).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/), expect.stringMatching(/^[0-9a-f]{32}$/)]);
    expect(new Set(keys).size).toBe(4);
  });
}
