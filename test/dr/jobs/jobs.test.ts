import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JobEngine, JobWork } from '../../../src/dr/jobs/job-engine.ts';
import type { JobOrder, JobRecord } from '../../../src/dr/jobs/job-record.ts';
import { JobStore } from '../../../src/dr/jobs/job-store.ts';
import { DrJobs, type DrJobsOptions } from '../../../src/dr/jobs/jobs.ts';
import type { DrProgress } from '../../../src/dr/progress.ts';
import { HoldfastError } from '../../../src/errors.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { temporaryDirectory } from '../../support/temporary.ts';
import { BACKUP, RESTORE, recordOf, VERIFY } from './support.ts';

const { signal } = new AbortController();

/** Work that a test ends as it likes. */
interface Work extends JobWork {
  readonly id: string;
  readonly order: JobOrder;
  succeed(notices?: readonly string[]): void;
  fail(error: unknown): void;
}

class FakeEngine implements JobEngine {
  readonly works: Work[] = [];
  readonly checked: string[] = [];
  readonly settled: string[] = [];
  /** Interrupted backups that are whole. */
  readonly whole = new Set<string>();
  onCheck: (order: JobOrder) => Promise<void> | void = () => {};

  async check(order: JobOrder, { resume }: { resume: boolean }): Promise<void> {
    this.checked.push(`${order.kind}${resume ? ' resumed' : ''}`);
    await this.onCheck(order);
  }

  run({ id, order }: Pick<JobRecord, 'id' | 'order'>, work: JobWork): Promise<readonly string[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
    this.works.push({ ...work, id, order, succeed: (notices = []) => resolve(notices), fail: reject });
    work.signal.addEventListener('abort', () => reject(new HoldfastError('DR_CANCELLED', 'as the engine says it')));
    return promise;
  }

  async settle({ id }: Pick<JobRecord, 'id'>): Promise<boolean> {
    this.settled.push(id);
    return this.whole.has(id);
  }

  targetOf(order: JobOrder): string | null {
    // Two names of one database.
    return order.kind === 'RESTORE' ? order.target.replace('alias', 'copy') : null;
  }
}

async function openJobs(options: Partial<DrJobsOptions> = {}) {
  const directory = await temporaryDirectory();
  const errors: string[] = [];
  const path = join(directory.path, 'jobs');
  const open = () => {
    const engine = new FakeEngine();
    const store = new JobStore(path, ({ message }) => errors.push(message));
    const onError = (_error: unknown, what: string): void => void errors.push(what);
    return { engine, store, jobs: new DrJobs({ store, engine, onError, ...options }) };
  };
  return { path, errors, open, ...open(), [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

/** The state of a job on disk. */
function onDisk(path: string, id: string): JobRecord['state'] {
  return (JSON.parse(readFileSync(join(path, `${id}.json`), 'utf8')) as JobRecord).state;
}

const progress = (percent: number): DrProgress => ({
  ...{ phase: 'reading rows', tablesDone: 0, tablesTotal: 1, rowsDone: 0, bytesDone: 0, bytesTotal: 0 },
  ...{ percent, etaMs: null, tables: [] },
});

describe('jobs', () => {
  it('are on disk before they are told of, run, and keep what they came to', async () => {
    await using test = await openJobs();
    const job = await test.jobs.start(BACKUP, 'olga', signal);
    expect(job).toMatchObject({ state: 'RUNNING', by: 'olga', order: BACKUP, starts: 1, error: null });
    expect(onDisk(test.path, job.id)).toBe('RUNNING');
    const [work] = test.engine.works;
    work?.onProgress(progress(50));
    expect(test.jobs.get(job.id).progress?.percent).toBe(50);
    work?.succeed(['12 large objects are left out']);
    await eventually('the end', () => onDisk(test.path, job.id) === 'SUCCEEDED');
    const ended = { state: 'SUCCEEDED', notices: ['12 large objects are left out'], progress: { percent: 50 } };
    expect(test.jobs.get(job.id)).toMatchObject(ended);
    expect(test.open().store.list(5)).toMatchObject([ended]);
    expect(work?.resume).toBe(false);
  });

  it('are none when a check fails: its error is the answer', async () => {
    await using test = await openJobs();
    test.engine.onCheck = () => {
      throw new HoldfastError('DR_TARGET_NOT_EMPTY', 'there is something');
    };
    await expect(test.jobs.start(RESTORE, 'olga', signal)).rejects.toMatchObject({ code: 'DR_TARGET_NOT_EMPTY' });
    const mistakes = [
      { ...BACKUP, workers: 0 },
      { ...BACKUP, tables: [] },
      { ...VERIFY, level: 'SLOW' },
    ];
    for (const wrong of mistakes) {
      await expect(test.jobs.start(wrong as JobOrder, 'olga', signal)).rejects.toMatchObject({
        code: 'VALIDATION_FAILED',
      });
    }
    expect(test.store.exists).toBe(false);
  });

  it('are none when the caller has gone meanwhile', async () => {
    await using test = await openJobs();
    const caller = new AbortController();
    test.engine.onCheck = () => caller.abort(new Error('too late'));
    await expect(test.jobs.start(BACKUP, 'olga', caller.signal)).rejects.toThrow('too late');
    expect(test.store.exists).toBe(false);
  });

  it('wait for each other beyond a number, and begin in order', async () => {
    await using test = await openJobs({ maxRunning: 1 });
    const ids: string[] = [];
    for (const order of [BACKUP, VERIFY, BACKUP]) ids.push((await test.jobs.start(order, 'olga', signal)).id);
    expect(ids.map((id) => test.jobs.get(id).state)).toEqual(['RUNNING', 'QUEUED', 'QUEUED']);
    for (let index = 0; index < 3; index++) {
      const work = await eventually('the next one', () => test.engine.works[index]);
      expect(work.id).toBe(ids[index]);
      expect(test.engine.works).toHaveLength(index + 1);
      work.succeed();
    }
    await eventually('the end', () => ids.every((id) => onDisk(test.path, id) === 'SUCCEEDED'));
  });

  it('are refused when too many wait', async () => {
    await using test = await openJobs({ maxRunning: 0 });
    for (let count = 0; count < 100; count++) await test.jobs.start(BACKUP, 'olga', signal);
    await expect(test.jobs.start(BACKUP, 'olga', signal)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  });

  it('restore into one database one at a time, whatever its name', async () => {
    await using test = await openJobs();
    const first = await test.jobs.start(RESTORE, 'olga', signal);
    for (const target of ['copy', 'alias']) {
      const second = test.jobs.start({ ...RESTORE, target }, 'olga', signal);
      await expect(second).rejects.toMatchObject({ code: 'DR_LOCKED', message: expect.stringContaining(first.id) });
    }
    await test.jobs.start({ ...RESTORE, target: 'other' }, 'olga', signal);
    test.engine.works[0]?.succeed();
    await eventually('the end', () => onDisk(test.path, first.id) === 'SUCCEEDED');
    await test.jobs.start(RESTORE, 'olga', signal);
  });

  it('of two restores checked at the same moment one is taken', async () => {
    await using test = await openJobs();
    const both = await Promise.allSettled([1, 2].map(() => test.jobs.start(RESTORE, 'olga', signal)));
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'DR_LOCKED' } });
    expect(test.jobs.list(10)).toHaveLength(1);
  });

  it('that fail say why, and nothing that is not meant to be seen', async () => {
    await using test = await openJobs();
    const first = await test.jobs.start(BACKUP, 'olga', signal);
    const second = await test.jobs.start(VERIFY, 'olga', signal);
    test.engine.works[0]?.fail(new HoldfastError('DR_STORAGE_FULL', 'no space'));
    test.engine.works[1]?.fail(new TypeError('password is hunter2'));
    await eventually('the ends', () => [first, second].every(({ id }) => onDisk(test.path, id) === 'FAILED'));
    expect(test.jobs.get(first.id).error).toEqual({ code: 'DR_STORAGE_FULL', message: 'no space' });
    expect(test.jobs.get(second.id).error?.code).toBe('INTERNAL_SERVER_ERROR');
    expect(readFileSync(join(test.path, `${second.id}.json`), 'utf8')).not.toContain('hunter2');
    expect(test.errors).toEqual([`job ${second.id} failed`]);
  });

  it('are cancelled while they run and while they wait; and not when they are over', async () => {
    await using test = await openJobs({ maxRunning: 1 });
    const running = await test.jobs.start(RESTORE, 'olga', signal);
    const waiting = await test.jobs.start(BACKUP, 'olga', signal);
    expect(await test.jobs.cancel(waiting.id)).toMatchObject({ state: 'CANCELLED', error: { code: 'DR_CANCELLED' } });
    const cancelled = await test.jobs.cancel(running.id);
    expect(cancelled).toMatchObject({ state: 'CANCELLED', error: { message: expect.stringContaining('is kept') } });
    expect(onDisk(test.path, running.id)).toBe('CANCELLED');
    expect(await test.jobs.cancel(running.id)).toEqual(cancelled);
    expect(test.engine.works).toHaveLength(1);
    await expect(test.jobs.cancel('20260131T083000000-backup-shop-ffffff')).rejects.toMatchObject({
      code: 'DR_NOT_FOUND',
    });
  });

  it('are taken up again: a restore goes on, a backup starts anew, what succeeded stays', async () => {
    await using test = await openJobs();
    const restore = await test.jobs.start(RESTORE, 'olga', signal);
    const backup = await test.jobs.start(BACKUP, 'olga', signal);
    expect(await test.jobs.resume(restore.id, signal)).toMatchObject({ state: 'RUNNING' });
    await test.jobs.cancel(restore.id);
    test.engine.works[1]?.fail(new HoldfastError('DATABASE_UNAVAILABLE', 'away'));
    await eventually('the failure', () => onDisk(test.path, backup.id) === 'FAILED');
    const again = await test.jobs.resume(restore.id, signal);
    expect(again).toMatchObject({ state: 'RUNNING', id: restore.id, error: null, starts: 2 });
    expect(again.startedAt).toBe(restore.startedAt);
    await test.jobs.resume(backup.id, signal);
    expect(test.engine.works.map(({ id, resume }) => [id, resume])).toEqual([
      ...[
        [restore.id, false],
        [backup.id, false],
      ],
      ...[
        [restore.id, true],
        [backup.id, false],
      ],
    ]);
    expect(test.engine.checked).toEqual(['RESTORE', 'BACKUP', 'RESTORE resumed', 'BACKUP']);
    test.engine.works[3]?.succeed();
    await eventually('the end', () => onDisk(test.path, backup.id) === 'SUCCEEDED');
    await expect(test.jobs.resume(backup.id, signal)).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
  });

  it('keep the archives that they use', async () => {
    await using test = await openJobs();
    const job = await test.jobs.start(VERIFY, 'olga', signal);
    const removed: string[] = [];
    const remove = (name: string) => test.jobs.removeArchive(name, async () => void removed.push(name));
    await expect(remove('monday')).rejects.toMatchObject({ code: 'DR_LOCKED' });
    await remove('tuesday');
    await test.jobs.cancel(job.id);
    await test.jobs.removeArchive('monday', async () => {
      await expect(test.jobs.start(VERIFY, 'olga', signal)).rejects.toMatchObject({ code: 'DR_LOCKED' });
      await expect(remove('monday')).rejects.toMatchObject({ code: 'DR_LOCKED' });
      removed.push('monday');
    });
    expect(removed).toEqual(['tuesday', 'monday']);
  });
});

describe('jobs after their process is gone', () => {
  /** The records as a kill -9 leaves them: whatever state was on disk. */
  async function left(records: readonly Partial<JobRecord>[], whole: readonly string[] = []) {
    const test = await openJobs();
    for (const record of records) test.store.write(recordOf(record));
    for (const id of whole) test.engine.whole.add(id);
    await test.jobs.recover();
    return test;
  }
  const id = (number: number, kind: string) => `20260131T08300000${number}-${kind}-shop-0a1b2c`;
  const startedAt = '2026-01-31T08:30:01.000Z';

  it('a restore goes on, and what waited waits again, in order', async () => {
    await using test = await left([
      { id: id(1, 'backup') },
      { id: id(2, 'restore'), order: RESTORE, state: 'RUNNING', starts: 1, startedAt },
      { id: id(3, 'verify'), order: VERIFY },
    ]);
    const works = test.engine.works.map(({ id, resume }) => [id, resume]);
    expect(works).toEqual([
      [id(1, 'backup'), false],
      [id(2, 'restore'), true],
    ]);
    expect(test.jobs.get(id(2, 'restore'))).toMatchObject({ state: 'RUNNING', starts: 2, startedAt });
    expect(test.jobs.get(id(3, 'verify')).state).toBe('QUEUED');
    expect(test.engine.settled).toEqual([]);
  });

  it('a backup and a verification have failed, and nothing is left of them', async () => {
    const running = { state: 'RUNNING', starts: 1, startedAt } as const;
    await using test = await left([
      { id: id(1, 'backup'), ...running },
      { id: id(2, 'verify'), order: VERIFY, ...running },
    ]);
    for (const job of [id(1, 'backup'), id(2, 'verify')]) {
      expect(test.jobs.get(job)).toMatchObject({ state: 'FAILED', error: { code: 'DR_INTERRUPTED' } });
      expect(onDisk(test.path, job)).toBe('FAILED');
      expect(test.engine.settled).toContain(job);
    }
    expect(test.engine.works).toEqual([]);
  });

  it('a backup that was whole already has succeeded', async () => {
    const job = id(1, 'backup');
    await using test = await left([{ id: job, state: 'RUNNING', starts: 1, startedAt }], [job]);
    expect(test.jobs.get(job)).toMatchObject({ state: 'SUCCEEDED', error: null });
  });

  it('a backup has failed also when its files cannot be removed, and says so', async () => {
    await using test = await openJobs();
    test.store.write(recordOf({ state: 'RUNNING', starts: 1, startedAt }));
    test.engine.settle = () => Promise.reject(new HoldfastError('DATA_UNWRITABLE', 'read-only'));
    await test.jobs.recover();
    const { state, error } = test.jobs.get(recordOf().id);
    expect([state, error?.code]).toEqual(['FAILED', 'DR_INTERRUPTED']);
    expect(error?.message).toContain('could not be removed (read-only)');
    expect(test.errors).toHaveLength(1);
  });

  it('jobs that were over stay as they were', async () => {
    const over = recordOf({ state: 'CANCELLED', error: { code: 'DR_CANCELLED', message: 'cancelled' } });
    await using test = await left([over]);
    expect(test.jobs.get(over.id)).toEqual(over);
    expect(test.engine.works).toEqual([]);
  });
});

describe('stopping', () => {
  it('stops a restore so that the next process goes on, and fails a backup', async () => {
    await using test = await openJobs();
    const restore = await test.jobs.start(RESTORE, 'olga', signal);
    const backup = await test.jobs.start(BACKUP, 'olga', signal);
    const waiting = await test.jobs.start(VERIFY, 'olga', signal);
    await test.jobs.stop();
    expect(onDisk(test.path, restore.id)).toBe('QUEUED');
    expect(onDisk(test.path, waiting.id)).toBe('QUEUED');
    expect(test.jobs.get(backup.id)).toMatchObject({ state: 'FAILED', error: { code: 'DR_INTERRUPTED' } });
    expect(test.engine.works).toHaveLength(2);
    await expect(test.jobs.start(BACKUP, 'olga', signal)).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
    const next = test.open();
    await next.jobs.recover();
    expect(next.engine.works.map(({ id, resume }) => [id, resume])).toEqual([
      [restore.id, true],
      [waiting.id, false],
    ]);
  });

  it('keeps the success of what finished at that moment', async () => {
    await using test = await openJobs();
    const job = await test.jobs.start(BACKUP, 'olga', signal);
    test.engine.works[0]?.succeed();
    await test.jobs.stop();
    expect(onDisk(test.path, job.id)).toBe('SUCCEEDED');
  });
});

describe('a disk that cannot be written', () => {
  it('tells the end of a job as long as the process lives, and the next one finds out', async () => {
    await using test = await openJobs();
    const job = await test.jobs.start(BACKUP, 'olga', signal);
    test.store.write = () => {
      throw new HoldfastError('DR_STORAGE_FULL', 'no space');
    };
    await expect(test.jobs.start(BACKUP, 'olga', signal)).rejects.toMatchObject({ code: 'DR_STORAGE_FULL' });
    test.engine.works[0]?.succeed();
    await eventually('the end', () => test.jobs.get(job.id).state === 'SUCCEEDED');
    expect(onDisk(test.path, job.id)).toBe('RUNNING');
    const next = test.open();
    next.engine.whole.add(job.id);
    await next.jobs.recover();
    expect(onDisk(test.path, job.id)).toBe('SUCCEEDED');
  });
});

describe('the progress of a job', () => {
  it('comes at once, then at most four times a second, and ends with the job', async () => {
    const clock = new ManualClock();
    await using test = await openJobs({ clock });
    const job = await test.jobs.start(BACKUP, 'olga', signal);
    const [work] = test.engine.works;
    const values = test.jobs.progress(job.id, signal);
    const percent = async () => (await values.next()).value?.progress?.percent;
    expect((await values.next()).value).toMatchObject({ state: 'RUNNING', progress: null });
    let told = false;
    const next = percent().then((value) => {
      told = true;
      return value;
    });
    for (let step = 1; step <= 9; step++) {
      work?.onProgress(progress(step));
      await Promise.resolve();
    }
    await clock.advance(249);
    expect(told).toBe(false);
    await clock.advance(1);
    expect(await next).toBe(9);
    // The end does not wait.
    const last = values.next();
    work?.succeed();
    expect((await last).value).toMatchObject({ state: 'SUCCEEDED' });
    expect(await values.next()).toEqual({ done: true, value: undefined });
  });

  it('of a job that is over is its end alone', async () => {
    await using test = await openJobs();
    test.store.write(recordOf({ state: 'FAILED' }));
    const values = test.jobs.progress(recordOf().id, signal);
    expect((await values.next()).value).toMatchObject({ state: 'FAILED' });
    expect(await values.next()).toEqual({ done: true, value: undefined });
    expect(() => test.jobs.progress('no job', signal)).toThrow(expect.objectContaining({ code: 'DR_NOT_FOUND' }));
  });

  it('ends with the signal', async () => {
    await using test = await openJobs();
    const job = await test.jobs.start(BACKUP, 'olga', signal);
    const subscriber = new AbortController();
    const values = test.jobs.progress(job.id, subscriber.signal);
    await values.next();
    const next = values.next();
    subscriber.abort();
    expect(await next).toEqual({ done: true, value: undefined });
  });
});
