import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { Journal, type JournalOptions } from '../../src/fallback/journal.ts';
import type { Waiting } from '../../src/fallback/waiting.ts';
import { journalDraft } from '../support/journal-draft.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const EIGHT_DAYS_MS = 8 * 24 * 3_600_000;

async function setUp(options: Partial<JournalOptions> = {}) {
  const directory = await temporaryDirectory();
  const open = () => Journal.open({ directory: directory.path, now: () => 2_000, ...options });
  let journal = await open();
  return {
    get journal() {
      return journal;
    },
    file: join(directory.path, 'journal.db'),
    async reopen() {
      await journal.close();
      journal = await open();
      return journal;
    },
    /** Changes the file while nobody has it open. */
    async meddle(change: (database: DatabaseSync) => void) {
      await journal.close();
      const database = new DatabaseSync(join(directory.path, 'journal.db'));
      change(database);
      database.close();
      journal = await open();
    },
    async [Symbol.asyncDispose]() {
      await journal.close().catch(() => undefined);
      await directory[Symbol.asyncDispose]();
    },
  };
}

const heads = (journal: Journal): Waiting[] => [...journal.waiting.heads()];

describe('Journal', () => {
  it('has after a restart what it acknowledged, each document in its order', async () => {
    await using bench = await setUp();
    const first = journalDraft('a');
    const { entries, durable } = bench.journal.append([first, journalDraft('b')]);
    await durable;
    const after = entries[0]?.seq ?? null;
    await bench.journal.append([journalDraft('a', { method: 'deleteOne', argument: null, image: null, after })])
      .durable;
    const journal = await bench.reopen();
    expect(heads(journal).map(({ seq, id }) => [seq, id])).toEqual([
      [1, 'a'],
      [2, 'b'],
    ]);
    expect(journal.entryOfKey(first.key)).toMatchObject({ ...first, seq: 1, state: 'WAITING' });
    const [head] = heads(journal) as [Waiting];
    await journal.settle(head, { state: 'REPLAYED', version: 7 });
    const left = heads(journal).map(({ seq, document }) => ({ seq, document }));
    expect(left).toHaveLength(2);
    expect(left).toContainEqual({ seq: 3, document: null });
    expect((await bench.reopen()).entry(1)).toMatchObject({ state: 'REPLAYED', version: 7, endedAt: 2_000 });
    expect(bench.journal.waiting.size).toBe(2);
  });

  it('never gives a number twice, whatever was forgotten', async () => {
    let now = 2_000;
    await using bench = await setUp({ now: () => now });
    await bench.journal.append([journalDraft('a')]).durable;
    await bench.journal.settle(heads(bench.journal)[0] as Waiting, { state: 'REPLAYED', version: 1 });
    now += EIGHT_DAYS_MS + 1;
    await bench.journal.prune();
    expect(bench.journal.list({ limit: 10 })).toEqual([]);
    const { entries } = (await bench.reopen()).append([journalDraft('b')]);
    expect(entries[0]?.seq).toBe(2);
  });

  it('keeps answers for more than seven days, and whatever is not in the database for ever', async () => {
    let now = 2_000;
    await using bench = await setUp({ now: () => now });
    const done = journalDraft('a');
    const parked = journalDraft('b');
    const call = { key: 'call', digest: 'd', answer: { matched: 1, keys: [done.key] } };
    await bench.journal.append([done, parked], call).durable;
    const [one, other] = heads(bench.journal) as [Waiting, Waiting];
    await bench.journal.settle(one, { state: 'REPLAYED', version: 1 });
    await bench.journal.settle(other, { state: 'CONFLICT', reason: { code: 'CONFLICT', message: 'moved' } });
    now += (EIGHT_DAYS_MS * 7) / 8;
    await bench.journal.prune();
    expect(bench.journal.entryOfKey(done.key)).toBeDefined();
    expect(bench.journal.callOfKey('call')).toEqual(call);
    now += EIGHT_DAYS_MS;
    await bench.journal.prune();
    expect(bench.journal.entryOfKey(done.key)).toBeUndefined();
    expect(bench.journal.callOfKey('call')).toBeUndefined();
    expect(bench.journal.entryOfKey(parked.key)).toMatchObject({ state: 'CONFLICT', reason: { message: 'moved' } });
  });

  it('keeps an entry as long as another one that was made on it is open', async () => {
    let now = 2_000;
    await using bench = await setUp({ now: () => now });
    await bench.journal.append([journalDraft('a')]).durable;
    await bench.journal.append([journalDraft('a', { after: 1 })]).durable;
    const [first] = heads(bench.journal) as [Waiting];
    await bench.journal.settle(first, { state: 'REPLAYED', version: 1 });
    const [second] = heads(bench.journal) as [Waiting];
    await bench.journal.settle(second, { state: 'HELD', reason: { code: 'X', message: '' } });
    now += 2 * EIGHT_DAYS_MS;
    await bench.journal.prune();
    expect(bench.journal.entry(1)).toMatchObject({ state: 'REPLAYED' });
    await bench.journal.discard(2);
    now += 2 * EIGHT_DAYS_MS;
    await bench.journal.prune();
    await bench.journal.prune();
    expect(bench.journal.list({ limit: 10 })).toEqual([]);
  });

  it('refuses more than its caps, until something has ended', async () => {
    await using bench = await setUp({ maxEntries: 2 });
    await bench.journal.append([journalDraft('a'), journalDraft('b')]).durable;
    const full = expect.objectContaining({ code: 'JOURNAL_FULL', details: { retryAfterMs: 5_000 } });
    expect(() => bench.journal.append([journalDraft('c')])).toThrow(full);
    const journal = await bench.reopen();
    expect(() => journal.append([journalDraft('c')])).toThrow(full);
    await journal.settle(heads(journal)[0] as Waiting, { state: 'CONFLICT', reason: { code: 'X', message: '' } });
    expect(() => journal.append([journalDraft('c')])).toThrow(full);
    await journal.discard(1);
    await journal.append([journalDraft('c')]).durable;
    expect(journal.counts()).toMatchObject({ waiting: 2, conflicts: 0, held: 0 });
    await using small = await setUp({ maxBytes: 100 });
    expect(() => small.journal.append([journalDraft('a')])).toThrow(full);
  });

  it('gives an entry up once, whatever else is ordered at the same time', async () => {
    await using bench = await setUp({ maxEntries: 2 });
    const { journal } = bench;
    await journal.append([journalDraft('a'), journalDraft('b')]).durable;
    for (const head of heads(journal))
      await journal.settle(head, { state: 'HELD', reason: { code: 'X', message: '' } });
    await Promise.all([journal.discard(1), journal.discard(1)]);
    await journal.append([journalDraft('c')]).durable;
    expect(() => journal.append([journalDraft('d')])).toThrow(expect.objectContaining({ code: 'JOURNAL_FULL' }));
    const [approved, discarded] = await Promise.allSettled([journal.approve(2), journal.discard(2)]);
    expect(approved).toMatchObject({ status: 'fulfilled', value: { state: 'WAITING' } });
    expect(discarded).toMatchObject({ status: 'rejected', reason: { code: 'CONFLICT' } });
    expect(journal.waiting.size).toBe(2);
    expect(() => journal.append([journalDraft('d')])).toThrow(expect.objectContaining({ code: 'JOURNAL_FULL' }));
  });

  it('takes an entry back that could not be written, and what was made on it', async () => {
    await using bench = await setUp();
    const same = journalDraft('a');
    await bench.journal.append([same]).durable;
    // The key is taken: the first is refused by the file, the second was made on it.
    const lost = bench.journal.append([{ ...same, id: '"b"' }]);
    const made = bench.journal.append([journalDraft('b', { after: lost.entries[0]?.seq ?? null })]);
    expect(bench.journal.waiting.size).toBe(2);
    await expect(lost.durable).rejects.toMatchObject({ code: 'JOURNAL_FULL' });
    await expect(made.durable).rejects.toMatchObject({ code: 'JOURNAL_FULL' });
    expect(bench.journal.counts()).toMatchObject({ waiting: 1 });
    expect(heads(bench.journal).map(({ id }) => id)).toEqual(['a']);
  });

  it('holds an entry that is not what was written, and lets nobody replay it', async () => {
    await using bench = await setUp();
    await bench.journal.append([journalDraft('a'), journalDraft('b')]).durable;
    await bench.meddle((database) => database.exec(`UPDATE entries SET argument = '{"_id":"x"}' WHERE seq = 1`));
    expect(heads(bench.journal).map(({ seq }) => seq)).toEqual([2]);
    expect(bench.journal.entry(1)).toMatchObject({ state: 'HELD', reason: { code: 'DAMAGED' } });
    await expect(bench.journal.approve(1)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect((await bench.journal.discard(1)).state).toBe('DISCARDED');
  });

  it('does not have what a crash cut off, and says so of a file that is none', async () => {
    await using bench = await setUp();
    await bench.journal.append([journalDraft('a')]).durable;
    await bench.journal.close();
    const whole = readFileSync(bench.file);
    writeFileSync(bench.file, Buffer.concat([Buffer.alloc(4_096, 7), whole.subarray(4_096)]));
    await expect(bench.reopen()).rejects.toMatchObject({ code: 'DATA_UNWRITABLE' });
    writeFileSync(bench.file, whole);
    chmodSync(bench.file, 0o600);
    expect((await bench.reopen()).waiting.size).toBe(1);
  });

  it('lets an operator replay what is held or in conflict, and nothing else', async () => {
    await using bench = await setUp();
    await bench.journal.append([journalDraft('a'), journalDraft('b'), journalDraft('c')]).durable;
    const [held, conflict, done] = heads(bench.journal) as [Waiting, Waiting, Waiting];
    await bench.journal.settle(held, { state: 'HELD', reason: { code: 'EPOCH', message: '' } });
    await bench.journal.settle(conflict, {
      state: 'CONFLICT',
      reason: { code: 'CONFLICT', message: '', conflict: 'k' },
    });
    await bench.journal.settle(done, { state: 'REPLAYED', version: 1 });
    expect(await bench.journal.approve(1)).toMatchObject({ state: 'WAITING', approved: true, reason: null });
    expect(bench.journal.waiting.size).toBe(1);
    await bench.journal.resolved('k');
    expect(bench.journal.entry(2).state).toBe('DISCARDED');
    await expect(bench.journal.approve(3)).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(bench.journal.discard(3)).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(bench.journal.approve(9)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(bench.journal.list({ state: 'DISCARDED', limit: 5 }).map(({ seq }) => seq)).toEqual([2]);
  });
});
