import { appendFileSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/errors.ts';
import { AuditLog } from '../../src/service/audit-log.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const CALL = { by: 'olga', address: '127.0.0.1', action: 'drDelete', arguments: { backup: 'monday' } };

async function openLog() {
  const directory = await temporaryDirectory();
  const errors: unknown[] = [];
  let second = 0;
  const now = (): Date => new Date(Date.UTC(2026, 0, 31, 8, 30, second++));
  const open = (): AuditLog => new AuditLog({ directory: directory.path, onError: (error) => errors.push(error), now });
  const log = open();
  const path = join(directory.path, 'audit.jsonl');
  return {
    ...{ log, path, errors, open },
    async [Symbol.asyncDispose]() {
      log[Symbol.dispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

describe('the audit log', () => {
  it('tells who called what, when, and what came of it, newest first', async () => {
    await using test = await openLog();
    expect(await test.log.run(CALL, () => 'removed')).toBe('removed');
    const refused = new HoldfastError('DR_LOCKED', 'in use');
    await expect(test.log.run({ ...CALL, action: 'drCancel' }, () => Promise.reject(refused))).rejects.toBe(refused);
    await expect(
      test.log.run(CALL, () => {
        throw Object.assign(new Error('no'), { extensions: { code: 'BAD_USER_INPUT' } });
      }),
    ).rejects.toThrow('no');
    await expect(test.log.run(CALL, () => Promise.reject(new TypeError('hidden')))).rejects.toThrow('hidden');
    const outcomes = test.log.list(10).map(({ action, outcome, code }) => [action, outcome, code]);
    expect(outcomes).toEqual([
      ['drDelete', 'FAILED', 'INTERNAL_SERVER_ERROR'],
      ['drDelete', 'FAILED', 'BAD_USER_INPUT'],
      ['drCancel', 'FAILED', 'DR_LOCKED'],
      ['drDelete', 'SUCCEEDED', null],
    ]);
    expect(test.log.list(10).at(-1)).toEqual({
      ...{ id: '0', by: 'olga', address: '127.0.0.1', action: 'drDelete', arguments: '{"backup":"monday"}' },
      ...{ at: '2026-01-31T08:30:00.000Z', endedAt: '2026-01-31T08:30:01.000Z', outcome: 'SUCCEEDED', code: null },
    });
    expect(statSync(test.path).mode & 0o777).toBe(0o600);
  });

  it('has a call on disk before it begins, and its outcome UNKNOWN until it is over', async () => {
    await using test = await openLog();
    await test.log.run(CALL, () => {
      expect(readFileSync(test.path, 'utf8')).toContain('drDelete');
      expect(test.log.list(10)).toMatchObject([{ outcome: 'UNKNOWN', endedAt: null }]);
    });
  });

  it('is read by pages, without one entry twice or missing', async () => {
    await using test = await openLog();
    const long = 'x'.repeat(3_000);
    for (let number = 0; number < 60; number++) {
      await test.log.run({ ...CALL, arguments: { number, long } }, () => undefined);
    }
    const seen: string[] = [];
    for (let before: number | undefined; ; ) {
      const page = test.log.list(7, before);
      if (page.length === 0) break;
      seen.push(...page.map(({ arguments: text }) => text));
      expect(page.every(({ outcome }) => outcome === 'SUCCEEDED')).toBe(true);
      before = Number(page.at(-1)?.id);
    }
    expect(seen).toEqual(Array.from({ length: 60 }, (_, index) => JSON.stringify({ number: 59 - index, long })));
  });

  it('keeps everything before a line that a crash cut off, wherever that was, and goes on after it', async () => {
    await using test = await openLog();
    await test.log.run(CALL, () => undefined);
    const whole = statSync(test.path).size;
    await test.log.run({ ...CALL, action: 'drCancel' }, () => undefined);
    const all = readFileSync(test.path);
    for (let bytes = whole; bytes <= all.length; bytes += 13) {
      writeFileSync(test.path, all);
      truncateSync(test.path, bytes);
      using next = test.open();
      await next.run({ ...CALL, action: 'drResume' }, () => undefined);
      const actions = next.list(10).map(({ action }) => action);
      expect(actions.filter((action) => action !== 'drCancel')).toEqual(['drResume', 'drDelete']);
      expect(next.list(10).every(({ action, outcome }) => action === 'drCancel' || outcome === 'SUCCEEDED')).toBe(true);
      expect(new Set(next.list(10).map(({ id }) => id)).size).toBe(actions.length);
    }
  });

  it('passes over lines that are none of its own', async () => {
    await using test = await openLog();
    appendFileSync(test.path, 'no JSON\n{}\n[1]\n{"id":-1}\n\n{"of":0,"endedAt":"soon","code":null}\n');
    await test.log.run(CALL, () => undefined);
    expect(test.log.list(10)).toHaveLength(1);
  });

  it('keeps no secrets, and no more than a part of long arguments', async () => {
    await using test = await openLog();
    const input = { token: 'hf_secret', url: 'postgres://app:hunter2@db/shop', long: 'y'.repeat(10_000) };
    await test.log.run({ ...CALL, arguments: { input } }, () => undefined);
    const text = readFileSync(test.path, 'utf8');
    expect(text).not.toMatch(/hf_secret|hunter2/);
    expect(text).toContain('postgres://app:***@db/shop');
    expect(text.length).toBeLessThan(5_000);
  });

  it('that cannot be written lets nothing run', async () => {
    await using test = await openLog();
    test.log[Symbol.dispose]();
    let ran = false;
    const call = test.log.run(CALL, () => {
      ran = true;
    });
    await expect(call).rejects.toMatchObject({ code: 'DATA_UNWRITABLE' });
    expect(ran).toBe(false);
    Object.assign(test.log, { [Symbol.dispose]: () => {} });
  });

  it('cannot be opened where there is a directory of its name', async () => {
    await using directory = await temporaryDirectory();
    mkdirSync(join(directory.path, 'audit.jsonl'));
    expect(() => new AuditLog({ directory: directory.path, onError: () => {} })).toThrow(
      expect.objectContaining({ code: 'DATA_UNWRITABLE' }),
    );
  });
});
