import { expect, it } from 'vitest';
import { chainHash, documentHash, GENESIS_CHAIN, type LogEntry } from '../../../src/model/change.ts';
import { decodeDocument, encodeDocument } from '../../../src/model/document.ts';
import { seededRandom } from '../../support/random.ts';
import { entriesOf, indexed, type OpenStore, PLAIN, people, refusalOf } from './fixture.ts';

function hashOf(entry: LogEntry): string | null {
  return entry.image && documentHash(entry.collection, entry.id, entry.version, entry.image);
}

export function historyContract(open: OpenStore): void {
  it('logs each write with the images it leads from and to', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    const created = await collection.insertOne({ _id: 'a', n: 1 });
    const updated = await collection.updateOne({ _id: 'a' }, { $set: { n: 2 } });
    const deleted = await collection.deleteOne({ _id: 'a' });
    const entries = await entriesOf(fixture);
    const versions = [created, updated, deleted].map(({ version }) => version);
    expect(entries.map(({ operation }) => operation)).toEqual(['CREATED', 'UPDATED', 'DELETED']);
    expect(entries.map(({ sequence, epoch }) => [epoch, sequence])).toEqual([
      [1, 1],
      [1, 2],
      [1, 3],
    ]);
    expect(entries.map(({ version }) => version)).toEqual(versions);
    expect(entries.map(({ image }) => image)).toEqual([
      encodeDocument({ _id: 'a', n: 1 }),
      encodeDocument({ _id: 'a', n: 2 }),
      null,
    ]);
    expect(entries.map(({ after }) => after)).toEqual(entries.map(hashOf));
    expect(entries.map(({ before }) => before)).toEqual([null, entries[0]?.after, entries[1]?.after]);
    expect(entries.every(({ collection: name, id }) => name === 'people' && id === '"a"')).toBe(true);
  });

  it('logs nothing for what was refused, and stays dense', async () => {
    await using fixture = await open(indexed({ uniqueEmail: ['email'] }));
    const collection = people(fixture);
    await collection.insertOne({ _id: 'a', email: 'x' });
    await refusalOf(collection.insertOne({ _id: 'b', email: 'x' }), 'ALREADY_EXISTS');
    await refusalOf(collection.insertOne({ _id: 'a' }), 'ALREADY_EXISTS');
    await refusalOf(collection.deleteOne({ _id: 'a' }, { ifVersion: 1 }), 'CONFLICT');
    await Promise.all([
      collection.insertOne({ _id: 'c' }),
      refusalOf(collection.insertOne({ _id: 'd', email: 'x' }), 'ALREADY_EXISTS'),
      collection.insertOne({ _id: 'e' }),
    ]);
    expect((await entriesOf(fixture)).map(({ sequence, id }) => [sequence, id])).toEqual([
      [1, '"a"'],
      [2, '"c"'],
      [3, '"e"'],
    ]);
  });

  it('tells that the log advanced before it answers', async () => {
    await using fixture = await open(PLAIN);
    const heads: number[] = [];
    const stop = fixture.log.onAdvance(() => heads.push(fixture.log.head().sequence));
    const result = await people(fixture).insertOne({ _id: 'a' });
    expect(heads).toEqual([result.position.sequence]);
    stop();
    await people(fixture).insertOne({ _id: 'b' });
    expect(heads).toHaveLength(1);
  });

  for (const seed of [1, 2, 3]) {
    it(`has chain, versions, images and digests that agree after random writes (seed ${seed})`, async () => {
      const specs = indexed({ uniqueEmail: ['email'], group: ['group'], tags: ['tags'] });
      await using fixture = await open(specs);
      const random = seededRandom(seed);
      const pick = (count: number) => Math.floor(random() * count);
      for (let step = 0; step < 150; step++) {
        const collection = people(fixture);
        const _id = pick(20);
        const fields = { email: pick(3) === 0 ? `mail${pick(10)}` : null, group: pick(4), tags: [pick(3), pick(3)] };
        const writes = [
          () => collection.insertOne({ _id, ...fields }),
          () => collection.insertMany([{ _id, ...fields }, { _id: pick(20) }, { _id: pick(20), group: 1 }]),
          () => collection.updateOne({ _id }, { $set: fields }),
          () => collection.updateOne({ group: fields.group }, { $inc: { n: 1 } }),
          () => collection.replaceOne({ _id }, fields),
          () => collection.updateMany({ group: fields.group }, { $set: { tags: fields.tags } }),
          () => collection.deleteOne({ _id }),
          () => (pick(3) === 0 ? collection.deleteMany({ group: fields.group }) : Promise.resolve()),
        ];
        const several = Array.from({ length: 1 + pick(3) }, () => writes[pick(writes.length)]?.());
        await Promise.allSettled(several);
        if (step === 75) await fixture.reopen(specs);
      }
      await agree(fixture);
    });
  }

  async function agree(fixture: Awaited<ReturnType<OpenStore>>): Promise<void> {
    const entries = await entriesOf(fixture);
    const images = new Map<string, LogEntry>();
    let chain = GENESIS_CHAIN;
    let version = 0;
    const versions = new Map<string, number>();
    for (const [place, entry] of entries.entries()) {
      expect(entry.sequence).toBe(place + 1);
      chain = chainHash(chain, entry.epoch, entry.sequence, entry);
      expect(entry.chain).toBe(chain);
      // Where document and log are two steps, only the entries of one document are in the order of versions.
      if (fixture.store.capabilities.transactionalLog) expect(entry.version).toBeGreaterThanOrEqual(version);
      expect(entry.version).toBeGreaterThan(versions.get(entry.id) ?? 0);
      versions.set(entry.id, entry.version);
      version = entry.version;
      const before = images.get(entry.id);
      expect(entry.before).toBe(before?.after ?? null);
      expect(entry.after).toBe(hashOf(entry));
      if (entry.image === null) images.delete(entry.id);
      else images.set(entry.id, entry);
    }
    const logged = [...images.values()].map(({ image }) => decodeDocument(image as string));
    const stored = await people(fixture).find({}).toArray();
    expect(stored).toEqual(logged.sort((a, b) => Number(a._id) - Number(b._id)));
    expect(await people(fixture).countDocuments({})).toBe(stored.length);
    for (const group of [0, 1, 2, 3]) {
      const matching = stored.filter((document) => document.group === group);
      expect(await people(fixture).find({ group }).toArray()).toEqual(matching);
    }
    const { rows } = fixture;
    if (rows === undefined) return;
    const scrubbed = await rows.scrub('people');
    expect(scrubbed.position.sequence).toBe(entries.length);
    expect(scrubbed.buckets.differing(rows.buckets('people'))).toEqual([]);
    expect(rows.buckets('people').digest().count).toBe(stored.length);
  }
}
