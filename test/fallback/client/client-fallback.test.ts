import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Double, Long, ObjectId } from 'bson';
import { describe, expect, it } from 'vitest';
import { ClientFallback } from '../../../src/fallback/client/client-fallback.ts';
import { planFind } from '../../../src/fallback/client/plan.ts';
import { provenanceOf } from '../../../src/fallback/client/results.ts';
import type { FallbackSettings } from '../../../src/fallback/client/settings.ts';
import { driverForm } from '../../../src/fallback/client/values.ts';
import { refreshDataset } from '../../../src/fallback/dataset/refresh.ts';
import type { TierAnswer } from '../../../src/fallback/tiers.ts';
import type { Document } from '../../../src/model/document.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { KEY, PEOPLE, plantedSource } from '../../support/planted.ts';
import { temporaryDirectory } from '../../support/temporary.ts';

const AWAY = { ping: () => Promise.reject(new Error('away')), peek: () => Promise.reject(new Error('away')) };
const ID = '64b7f0c2a1b2c3d4e5f60718';

/** A client's fallback whose database is away. */
async function open(settings: FallbackSettings, urlDatabase: string | undefined = 'school') {
  const fallback = new ClientFallback(AWAY, settings, urlDatabase);
  return {
    fallback,
    find: async (namespace: string, filter: Document): Promise<Document[]> => {
      const plan = () => planFind(filter, {});
      const found = await fallback.read<never>({ namespace, plan, bson: {} });
      return [...(found.answer as Document[])].map((document) => driverForm(document, {}));
    },
    [Symbol.asyncDispose]: () => fallback.stop(),
  };
}

describe('ClientFallback', () => {
  it('answers from documents, whatever form their values have', async () => {
    const given = [
      { _id: new ObjectId(ID), n: 1, long: Long.fromNumber(5), whole: new Double(2), gone: undefined },
      { _id: { $oid: '64b7f0c2a1b2c3d4e5f60719' }, at: { $date: '2026-01-01T00:00:00Z' } },
    ];
    await using client = await open({ datasets: { teachers: { from: Object.freeze(given), complete: true } } });
    expect(await client.find('school.teachers', { _id: new ObjectId(ID) })).toEqual([
      { _id: new ObjectId(ID), n: 1, long: 5, whole: 2 },
    ]);
    expect(await client.find('school.teachers', { at: new Date('2026-01-01') })).toEqual([
      { _id: new ObjectId('64b7f0c2a1b2c3d4e5f60719'), at: new Date('2026-01-01') },
    ]);
    expect(given[1]?._id).toEqual({ $oid: '64b7f0c2a1b2c3d4e5f60719' });
  });

  it('answers from files and functions', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'teachers.jsonl');
    await writeFile(file, `{"_id":{"$oid":"${ID}"},"name":"Ada"}\n{"name":"Grace"}\n`);
    const later = (): Promise<Document[]> => Promise.resolve([{ _id: 1, name: 'Hilltop' }]);
    await using client = await open({
      datasets: { teachers: { from: file, complete: true }, schools: { from: later, complete: true } },
    });
    expect(await client.find('school.teachers', { name: 'Ada' })).toEqual([{ _id: new ObjectId(ID), name: 'Ada' }]);
    expect(await client.find('school.teachers', { name: 'Grace' })).toEqual([
      { _id: expect.any(ObjectId), name: 'Grace' },
    ]);
    expect(await client.find('school.schools', {})).toEqual([{ _id: 1, name: 'Hilltop' }]);
  });

  it('answers from a part only what is asked for by a unique value', async () => {
    const from = [{ _id: 1, email: 'a@example.test', name: 'Ada' }];
    await using client = await open({ datasets: { teachers: { from, unique: ['email'] } } });
    expect(await client.find('school.teachers', { _id: 1 })).toHaveLength(1);
    expect(await client.find('school.teachers', { email: 'a@example.test' })).toHaveLength(1);
    const unknown = { code: 'FALLBACK_COVERAGE_UNKNOWN' };
    await expect(client.find('school.teachers', { _id: 2 })).rejects.toMatchObject(unknown);
    await expect(client.find('school.teachers', { name: 'Ada' })).rejects.toMatchObject(unknown);
    await expect(client.find('school.teachers', {})).rejects.toMatchObject(unknown);
  });

  it('keeps collections of the same name in different databases apart', async () => {
    const datasets = { teachers: { from: [{ _id: 1 }], complete: true } };
    await using named = await open({ datasets });
    await expect(named.find('other.teachers', {})).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    await using only = await open({ datasets, database: 'other' });
    expect(await only.find('other.teachers', {})).toHaveLength(1);
  });

  it('takes the only database that is used for the one that is meant', async () => {
    const fallback = new ClientFallback(
      AWAY,
      { datasets: { teachers: { from: [{ _id: 1 }], complete: true } } },
      undefined,
    );
    const find = (namespace: string) => fallback.read<never>({ namespace, plan: () => planFind({}, {}), bson: {} });
    fallback.home.use('admin');
    fallback.home.use('school');
    expect((await find('school.teachers')).answer).toHaveLength(1);
    fallback.home.use('other');
    await expect(find('school.teachers')).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    await expect(find('other.teachers')).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    await fallback.stop();
  });

  it('takes no longer for a read that copies cannot answer than the database does', async () => {
    await using client = await open({ datasets: { teachers: { from: [], complete: true } }, deadlineMs: 1 });
    const slow = (): Promise<string> => new Promise((resolve) => setTimeout(resolve, 60, 'slow'));
    const ask = { namespace: 'school.teachers', bson: {}, ask: slow };
    expect(await client.fallback.read({ ...ask, plan: () => planFind({ $where: '1' }, {}) })).toEqual({
      answer: 'slow',
    });
    expect(await client.fallback.read({ ...ask, plan: () => planFind({}, {}) })).toMatchObject({ answer: [] });
  });

  it('answers from snapshots with their age, and takes up newer ones', async () => {
    await using directory = await temporaryDirectory();
    await using memory = await plantedSource(40);
    const refresh = (documents: number) =>
      refreshDataset({ source: memory.source, model: PEOPLE, key: KEY, out: directory.path, budget: { documents } });
    await refresh(1_000);
    const clock = new ManualClock();
    await using client = await open({ snapshots: directory.path, clock });
    const [person] = await client.find('school.people', { _id: 'p3' });
    expect(person).toMatchObject({ name: null, mood: 'SAD', home: { street: null } });
    expect(await client.find('school.people', { _id: 'nobody' })).toEqual([]);
    const masked = client.find('school.people', { email: 'person.3@corp-mail.io' });
    await expect(masked).rejects.toMatchObject({ code: 'FALLBACK_UNSUPPORTED', operator: 'email' });
    const found = await client.fallback.read<never>({
      namespace: 'school.people',
      plan: () => planFind({}, {}),
      bson: {},
    });
    const from = provenanceOf(found as TierAnswer<unknown>, Date.now());
    expect(from).toMatchObject({ source: 'SNAPSHOT', degraded: true, masked: expect.arrayContaining(['name']) });
    expect(Date.parse(String(from.asOf))).toBeLessThanOrEqual(Date.now());
    await refresh(20);
    await clock.advance(60_000);
    await eventually('the newer one is taken up', async () =>
      client.find('school.people', { _id: 'nobody' }).then(
        () => false,
        ({ code }) => code === 'FALLBACK_COVERAGE_UNKNOWN',
      ),
    );
  });

  it.each<[string, FallbackSettings]>([
    ['fallback.datsets', { datsets: {} } as FallbackSettings],
    ['fallback.writes', { writes: 'LATER' as 'REJECT' }],
    ['needs fallback.changeLog', { writes: 'JOURNAL' }],
    ['fallback.changeLog.directry', { changeLog: { directry: '.' } as FallbackSettings['changeLog'] }],
    ['fallback.changeLog', { changeLog: 5 as unknown as boolean }],
    ['fallback.datasets.teachers', { datasets: { teachers: 5 as unknown as string } }],
    ['no-such-file', { datasets: { teachers: './no-such-file.jsonl' } }],
    ['is no document', { datasets: { teachers: [null as unknown as Document] } }],
    ['gave no array', { datasets: { teachers: () => undefined as unknown as Document[] } }],
  ])('says what is wrong with the settings: %s', async (named, settings) => {
    await using client = await open(settings);
    const error = { code: 'CONFIG_INVALID', message: expect.stringContaining(named) };
    await expect(client.fallback.ready()).rejects.toMatchObject(error);
    await expect(client.find('school.teachers', {})).rejects.toMatchObject(error);
  });
});
