import { mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hasEnded, isJobId, type JobRecord, newJobId } from '../../../src/dr/jobs/job-record.ts';
import { JobStore } from '../../../src/dr/jobs/job-store.ts';
import { temporaryDirectory } from '../../support/temporary.ts';
import { recordOf } from './support.ts';

/** A store in a directory of its own, with what it complained about. */
async function openStore() {
  const directory = await temporaryDirectory();
  const broken: string[] = [];
  const path = join(directory.path, 'jobs');
  const open = (): JobStore => new JobStore(path, ({ message }) => broken.push(message));
  return { path, broken, open, store: open(), [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

describe('the records of jobs', () => {
  it('are there as they were written, for another process as well', async () => {
    await using test = await openStore();
    const record = recordOf({ state: 'FAILED', error: { code: 'DR_INTERRUPTED', message: 'gone' } });
    test.store.write(recordOf({ state: 'RUNNING' }));
    test.store.write(record);
    expect(test.open().read(record.id)).toEqual(record);
    expect(test.open().ids()).toEqual([record.id]);
    expect(test.broken).toEqual([]);
  });

  it('are none before anything was written', async () => {
    await using test = await openStore();
    expect(test.store.exists).toBe(false);
    expect(test.store.list(10)).toEqual([]);
    expect(test.store.read(recordOf().id)).toBeUndefined();
    test.store.tidy(1, hasEnded);
    expect(test.store.exists).toBe(false);
  });

  it('are listed newest first', async () => {
    await using test = await openStore();
    const ids = [3, 1, 2].map((second) => {
      const id = newJobId(recordOf().order, new Date(second * 1000));
      test.store.write(recordOf({ id }));
      return id;
    });
    expect(test.store.list(2).map(({ id }) => id)).toEqual([ids[0], ids[2]]);
  });

  it('survive a crash at each step of a write: the state before, or the one after', async () => {
    await using test = await openStore();
    const before = recordOf({ state: 'QUEUED' });
    test.store.write(before);
    const text = readFileSync(join(test.path, `${before.id}.json`), 'utf8');
    const draft = join(test.path, `.${before.id}.json.4711.draft`);
    for (const bytes of [0, 1, Math.floor(text.length / 2), text.length]) {
      // The draft was begun and not renamed.
      writeFileSync(draft, text);
      truncateSync(draft, bytes);
      const next = test.open();
      expect(next.list(10)).toEqual([before]);
      next.tidy(10, hasEnded);
      expect(readdirSync(test.path)).toEqual([`${before.id}.json`]);
    }
    expect(test.broken).toEqual([]);
  });

  it('that cannot be read are told of once, and neither listed, carried out nor removed', async () => {
    await using test = await openStore();
    const good = recordOf();
    test.store.write(good);
    const id = (number: number): string => newJobId(good.order, new Date(number));
    const valid = JSON.stringify(good);
    const hostile: readonly string[] = [
      '',
      '{',
      'null',
      valid.slice(0, -20),
      valid, // the record of another job
      JSON.stringify({ ...good, id: id(5), surprise: true }),
      JSON.stringify({ ...good, id: id(6), version: 2 }),
      JSON.stringify({ ...good, id: id(7), order: { ...good.order, source: { url: 'postgres://evil' } } }),
      JSON.stringify({ ...good, id: id(8), state: 'EXPLODED' }),
      `${'['.repeat(100_000)}`,
    ];
    for (const [index, text] of hostile.entries()) writeFileSync(join(test.path, `${id(index)}.json`), text);
    writeFileSync(join(test.path, '..outside.json'), valid);
    symlinkSync('/etc/passwd', join(test.path, `${id(100)}.json`));
    mkdirSync(join(test.path, `${id(101)}.json`));
    for (let time = 0; time < 2; time++) {
      expect(test.store.list(100)).toEqual([good]);
      test.store.tidy(0, () => false);
    }
    expect(test.broken).toHaveLength(hostile.length + 2);
    expect(readdirSync(test.path)).toHaveLength(hostile.length + 4);
  });

  it('are read by ids alone, which are never paths', async () => {
    await using test = await openStore();
    test.store.write(recordOf());
    writeFileSync(join(test.path, '..', 'secret.json'), JSON.stringify(recordOf()));
    for (const id of ['../secret', 'secret', '', '.', `${recordOf().id}/../${recordOf().id}`, `${recordOf().id}\0`]) {
      expect(isJobId(id)).toBe(false);
      expect(test.store.read(id)).toBeUndefined();
    }
  });

  it('of the oldest jobs that are over go when there are too many', async () => {
    await using test = await openStore();
    const write = (second: number, state: JobRecord['state']): string => {
      const id = newJobId(recordOf().order, new Date(second * 1000));
      test.store.write(recordOf({ id, state }));
      return id;
    };
    const [running, , newest] = [write(1, 'RUNNING'), write(2, 'FAILED'), write(3, 'SUCCEEDED')];
    test.store.tidy(1, hasEnded);
    expect(test.store.ids()).toEqual([newest, running]);
  });

  it('say why they cannot be written', async () => {
    await using test = await openStore();
    writeFileSync(test.path, 'a file in the place of the directory');
    expect(() => test.store.write(recordOf())).toThrow(expect.objectContaining({ code: 'DATA_UNWRITABLE' }));
  });
});

describe('the id of a job', () => {
  it('is a name of a file whatever the source is called', () => {
    for (const source of ['shop', '../../etc', 'a b', 'ü', '-', 'x'.repeat(255)]) {
      const order = { ...recordOf().order, source } as JobRecord['order'];
      const id = newJobId(order, new Date(), (bytes) => Buffer.alloc(bytes, 0xab));
      expect(isJobId(id)).toBe(true);
      expect(id).toMatch(/-ababab$/);
    }
  });
});
