import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SqliteChangeLog } from '../../src/changelog/sqlite-change-log.ts';
import { type Change, chainHash, GENESIS_CHAIN, type LogEntry, type VerifiedEntry } from '../../src/model/change.ts';
import { Database } from '../../src/sqlite/database.ts';
import { type ChangeLogFixture, changeLogContract, changeOf } from '../contract/change-log.ts';
import { temporaryDirectory } from '../support/temporary.ts';

interface SqliteLogFixture extends ChangeLogFixture {
  readonly database: Database;
  readonly log: SqliteChangeLog;
}

async function open(): Promise<SqliteLogFixture> {
  const directory = await temporaryDirectory();
  const parts = async () => {
    const database = Database.open({ directory: directory.path });
    return { database, log: await SqliteChangeLog.open(database) };
  };
  const fixture = {
    ...(await parts()),
    append: (...changes: Change[]) =>
      fixture.database.transaction((transaction) => changes.map((change) => fixture.log.append(transaction, change))),
    async reopen() {
      await fixture.database.close();
      Object.assign(fixture, await parts());
    },
    async [Symbol.asyncDispose]() {
      await fixture.database.close();
      await directory[Symbol.asyncDispose]();
    },
  };
  return fixture;
}

/** Entries of another log, beginning after `previous` at `sequence`. */
function entriesAfter(previous: string, sequence: number, epoch: number, changes: readonly Change[]): LogEntry[] {
  let chain = previous;
  return changes.map((change, place) => {
    chain = chainHash(chain, epoch, sequence + place, change);
    return { ...change, epoch, sequence: sequence + place, chain };
  });
}

const EPOCH: Change = {
  ...changeOf(0),
  operation: 'EPOCH',
  collection: '',
  id: '',
  version: 0,
  after: null,
  image: null,
};

changeLogContract('SqliteChangeLog', open);

describe('SqliteChangeLog inside transactions', () => {
  it('shows an append to the appender at once, to readers when it is durable', async () => {
    await using fixture = await open();
    const { database, log } = fixture;
    const seen = await database.transaction((transaction) => {
      log.append(transaction, changeOf(1));
      return [log.position().sequence, log.head().sequence, log.positionSeenBy(transaction as never).sequence];
    });
    expect(seen).toEqual([1, 0, 1]);
    expect([log.position(), log.head().sequence]).toEqual([{ epoch: 1, sequence: 1 }, 1]);
    expect(log.positionSeenBy(database.reader)).toEqual({ epoch: 1, sequence: 1 });
  });

  it('takes back what a failing neighbour appended, and tells listeners once per group', async () => {
    await using fixture = await open();
    const { database, log } = fixture;
    let calls = 0;
    log.onAdvance(() => calls++);
    const results = await Promise.allSettled([
      fixture.append(changeOf(1)),
      database.transaction((transaction) => {
        log.append(transaction, changeOf(99));
        throw new Error('refused');
      }),
      fixture.append(changeOf(2), changeOf(3)),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((await log.read(0, { maxChanges: 9, maxBytes: 1e6 })).map(({ id }) => id)).toEqual(['1', '2', '3']);
    expect(calls).toBe(1);
  });

  it('does not speak of a transaction without an append', async () => {
    await using fixture = await open();
    let calls = 0;
    fixture.log.onAdvance(() => calls++);
    await fixture.append();
    await fixture.append(changeOf(1), changeOf(2));
    await fixture.log.trim(2);
    expect(calls).toBe(1);
  });
});

describe('the entries that SqliteChangeLog holds in memory', () => {
  /** Work on the log, several pieces of which are committed together. */
  const steps = fc.array(
    fc.array(
      fc.oneof(
        fc.record({ does: fc.constant('append' as const), entries: fc.nat({ max: 3 }), refused: fc.boolean() }),
        fc.record({ does: fc.constant('reset' as const), entries: fc.nat({ max: 3 }), refused: fc.boolean() }),
      ),
      { minLength: 1, maxLength: 4 },
    ),
    { minLength: 1, maxLength: 6 },
  );

  it('are those of the file, whatever was rolled back, reset or trimmed', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.boolean(), async (groups, trims) => {
        await using fixture = await open();
        const { database, log } = fixture;
        let version = 0;
        for (const group of groups) {
          await Promise.allSettled(
            group.map(({ does, entries, refused }) =>
              database.transaction((transaction) => {
                log.append(transaction, changeOf(++version));
                if (does === 'reset') {
                  log.reset(transaction, { logId: log.logId, epochs: [], sequence: version, chain: GENESIS_CHAIN });
                  log.beginEpoch(transaction, 0);
                }
                for (let i = 0; i < entries; i++) log.append(transaction, changeOf(++version));
                if (refused) throw new Error('refused');
              }),
            ),
          );
          if (trims) await log.trim(log.floor() + 1);
          // It has read nothing yet, so it asks the file.
          const file = await SqliteChangeLog.open(database);
          const limits = { maxChanges: 1_000, maxBytes: 1e9 };
          for (let after = log.floor() - 1; after <= log.head().sequence; after++) {
            expect(await log.read(after, limits)).toEqual((await file.read(after, limits)).map((row) => ({ ...row })));
          }
          for (let sequence = 0; sequence <= version + 2; sequence++) {
            const row = await file.entry(sequence);
            expect(await log.entry(sequence)).toEqual(row && { ...row });
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  it('are handed out without asking the file', async () => {
    await using fixture = await open();
    const { database, log } = fixture;
    const entries = await fixture.append(changeOf(1), changeOf(2));
    await database.transaction((transaction) => transaction.exec('DELETE FROM log'));
    expect(await log.read(0, { maxChanges: 10, maxBytes: 1e6 })).toEqual(entries);
    expect(await log.entry(2)).toEqual(entries[1]);
  });
});

describe('SqliteChangeLog of a follower', () => {
  it('copies entries as they are, and begins their epochs', async () => {
    await using source = await open();
    await source.append(changeOf(1), changeOf(2));
    await using fixture = await open();
    const first = await source.log.read(0, { maxChanges: 9, maxBytes: 1e6 });
    const second = entriesAfter(first[1]?.chain as string, 3, 2, [EPOCH, changeOf(3)]);
    await fixture.database.transaction((transaction) => {
      for (const entry of [...first, ...second]) fixture.log.copy(transaction, entry);
    });
    expect(await fixture.log.read(0, { maxChanges: 9, maxBytes: 1e6 })).toEqual([...first, ...second]);
    const epochs = [
      { epoch: 1, firstSequence: 1 },
      { epoch: 2, firstSequence: 3 },
    ];
    expect(fixture.log.epochs()).toEqual(epochs);
    await fixture.reopen();
    expect(fixture.log.epochs()).toEqual(epochs);
    expect(fixture.log.head()).toMatchObject({ epoch: 2, sequence: 4 });
  });

  it('refuses an entry that is not the next one or does not continue the chain, and keeps nothing of it', async () => {
    await using fixture = await open();
    const [first, second, third] = entriesAfter(
      GENESIS_CHAIN,
      1,
      1,
      [1, 2, 3].map((n) => changeOf(n)),
    ) as [LogEntry, LogEntry, LogEntry];
    const copy = (...entries: LogEntry[]) =>
      fixture.database.transaction((transaction) => {
        for (const entry of entries) fixture.log.copy(transaction, entry);
      });
    await copy(first);
    const [otherEpoch] = entriesAfter(first.chain, 2, 2, [changeOf(2)]) as [LogEntry];
    const [sameEpoch] = entriesAfter(first.chain, 2, 1, [EPOCH]) as [LogEntry];
    for (const wrong of [
      first,
      third,
      otherEpoch,
      sameEpoch,
      { ...second, after: 'f'.repeat(32) },
      { ...second, chain: 'f'.repeat(32) },
      // Verified, but elsewhere than where our log ends.
      { ...second, previous: GENESIS_CHAIN },
    ]) {
      await expect(copy(wrong)).rejects.toMatchObject({ code: 'INTERNAL_SERVER_ERROR' });
    }
    await expect(copy(second, first)).rejects.toThrow('cannot follow 1.2');
    expect(fixture.log.head()).toMatchObject({ sequence: 1, chain: first.chain });
    await copy({ ...second, previous: first.chain } as VerifiedEntry, third);
    expect(fixture.log.head().sequence).toBe(3);
  });

  it('can be emptied to continue another history', async () => {
    await using fixture = await open();
    await fixture.append(changeOf(1), changeOf(2));
    const origin = {
      logId: 'a'.repeat(32),
      epochs: [
        { epoch: 1, firstSequence: 1 },
        { epoch: 3, firstSequence: 40 },
      ],
      sequence: 70,
      chain: 'b'.repeat(32),
    };
    const { database, log } = fixture;
    await expect(
      database.transaction((transaction) => {
        log.reset(transaction, origin);
        throw new Error('not yet');
      }),
    ).rejects.toThrow('not yet');
    expect(log.head().sequence).toBe(2);
    await database.transaction((transaction) => log.reset(transaction, origin));
    const next = entriesAfter(origin.chain, 71, 3, [changeOf(71)]);
    for (let round = 0; round < 2; round++) {
      expect(fixture.log.logId).toBe(origin.logId);
      expect(fixture.log.head()).toEqual({ epoch: 3, sequence: 70, chain: origin.chain, at: 0 });
      expect([fixture.log.floor(), fixture.log.floorChain()]).toEqual([71, origin.chain]);
      expect(fixture.log.epochs()).toEqual(origin.epochs);
      await expect(fixture.log.read(69, { maxChanges: 1, maxBytes: 1 })).rejects.toThrow('71');
      await fixture.reopen();
    }
    await fixture.database.transaction((transaction) => fixture.log.copy(transaction, next[0] as LogEntry));
    expect(await fixture.log.read(70, { maxChanges: 9, maxBytes: 1e6 })).toEqual(next);
  });

  it('ends a trim when it becomes another history, with a generation of its own', async () => {
    await using fixture = await open();
    const { database, log } = fixture;
    const { generation } = log;
    await fixture.append(...Array.from({ length: 3_000 }, (_, index) => changeOf(index + 1)));
    const trimming = log.trim(2_900);
    const origin = {
      logId: 'a'.repeat(32),
      epochs: [{ epoch: 1, firstSequence: 1 }],
      sequence: 10,
      chain: 'b'.repeat(32),
    };
    await database.transaction((transaction) => log.reset(transaction, origin));
    await trimming;
    expect(log.generation).toBe(generation + 1);
    expect([log.floor(), log.head().sequence]).toEqual([11, 10]);
  });
});
