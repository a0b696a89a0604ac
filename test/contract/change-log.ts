import { describe, expect, it } from 'vitest';
import type { ChangeLog } from '../../src/changelog/change-log.ts';
import { isHoldfastError } from '../../src/errors.ts';
import { type Change, chainHash, GENESIS_CHAIN, type LogEntry } from '../../src/model/change.ts';

/** An open change log of its own, removed at the end of the scope (`await using`). */
export interface ChangeLogFixture extends AsyncDisposable {
  readonly log: ChangeLog;
  /** Appends these changes in one durable step. */
  append(...changes: Change[]): Promise<readonly LogEntry[]>;
  /** Closes the log and opens it again; the field above is new then. */
  reopen(): Promise<void>;
}

/** A change of the document numbered `number`, its image `length` characters long. */
export function changeOf(number: number, length = 20): Change {
  return {
    operation: 'CREATED',
    collection: 'people',
    id: String(number),
    version: 1_000 + number,
    at: 2_000 + number,
    before: null,
    after: number.toString(16).padStart(32, '0'),
    image: 'x'.repeat(length),
    key: null,
  };
}

const ALL = { maxChanges: 100_000, maxBytes: 1e9 };

/** What every change log must do; `open` gives a new, empty one for each test. */
export function changeLogContract(name: string, open: () => Promise<ChangeLogFixture>): void {
  async function filled(count: number): Promise<ChangeLogFixture> {
    const fixture = await open();
    await fixture.append(...Array.from({ length: count }, (_, index) => changeOf(index + 1)));
    return fixture;
  }

  describe(name, () => {
    it('begins empty, with an identity of its own, in epoch 1', async () => {
      await using fixture = await open();
      await using other = await open();
      const { log } = fixture;
      expect(log.logId).toMatch(/^[0-9a-f]{32}$/);
      expect(log.logId).not.toBe(other.log.logId);
      expect(log.head()).toEqual({ epoch: 1, sequence: 0, chain: GENESIS_CHAIN, at: 0 });
      expect(log.epochs()).toEqual([{ epoch: 1, firstSequence: 1 }]);
      expect([log.floor(), log.floorChain()]).toEqual([1, GENESIS_CHAIN]);
      expect(await log.read(0, ALL)).toEqual([]);
      expect(await log.entry(1)).toBeUndefined();
    });

    it('gives dense sequences, and chains every entry to the one before', async () => {
      await using fixture = await open();
      const appended = [
        ...(await fixture.append(changeOf(1), { ...changeOf(2), image: null, after: null, key: 'k'.repeat(32) })),
        ...(await fixture.append(changeOf(3))),
      ];
      const entries = await fixture.log.read(0, ALL);
      expect(entries).toEqual(appended);
      let chain = GENESIS_CHAIN;
      for (const [place, entry] of entries.entries()) {
        chain = chainHash(chain, 1, place + 1, entry);
        expect(entry).toMatchObject({ epoch: 1, sequence: place + 1, chain });
      }
      expect(fixture.log.head()).toEqual({ epoch: 1, sequence: 3, chain, at: 2_003 });
    });

    it('keeps entries as they were, over a restart', async () => {
      await using fixture = await filled(3);
      const { log } = fixture;
      const before = [log.logId, log.head(), log.floor(), log.epochs(), await log.read(0, ALL)];
      await fixture.reopen();
      const again = fixture.log;
      expect([again.logId, again.head(), again.floor(), again.epochs(), await again.read(0, ALL)]).toEqual(before);
      expect((await fixture.append(changeOf(4)))[0]?.sequence).toBe(4);
    });

    it('reads from any place, by number of changes and by bytes, at least one', async () => {
      await using fixture = await open();
      await fixture.append(...[100, 100, 5_000, 10].map((length, index) => changeOf(index + 1, length)));
      const read = async (after: number, maxChanges: number, maxBytes: number) =>
        (await fixture.log.read(after, { maxChanges, maxBytes })).map(({ sequence }) => sequence);
      expect(await read(0, 2, 1e9)).toEqual([1, 2]);
      expect(await read(1, 100, 1e9)).toEqual([2, 3, 4]);
      expect(await read(0, 100, 250)).toEqual([1, 2]);
      expect(await read(2, 100, 250)).toEqual([3]);
      expect(await read(2, 100, 0)).toEqual([3]);
      expect(await read(4, 100, 250)).toEqual([]);
    });

    it('finds single entries', async () => {
      await using fixture = await filled(3);
      expect((await fixture.log.entry(2))?.id).toBe('2');
      expect(await fixture.log.entry(0)).toBeUndefined();
      expect(await fixture.log.entry(4)).toBeUndefined();
    });

    it('trims below a floor, never the head', async () => {
      await using fixture = await filled(5);
      const { log } = fixture;
      const second = await log.entry(2);
      expect(await log.trim(3)).toBe(2);
      expect([log.floor(), log.floorChain()]).toEqual([3, second?.chain]);
      expect((await log.read(2, ALL)).map(({ sequence }) => sequence)).toEqual([3, 4, 5]);
      expect(await log.entry(2)).toBeUndefined();
      const expired = await log.read(1, ALL).catch((error: unknown) => error);
      expect(isHoldfastError(expired, 'CURSOR_EXPIRED') && expired.details).toEqual({ oldest: '1.2' });
      expect(await log.trim(2)).toBe(0);
      expect(await log.trim(100)).toBe(2);
      expect([log.floor(), log.head().sequence]).toEqual([5, 5]);
      await fixture.reopen();
      expect([fixture.log.floor(), fixture.log.head().sequence]).toEqual([5, 5]);
      await fixture.append(changeOf(6));
      expect((await fixture.log.read(4, ALL)).map(({ sequence }) => sequence)).toEqual([5, 6]);
    });

    it('trims many entries while others append', async () => {
      await using fixture = await filled(3_500);
      const [trimmed, appended] = await Promise.all([fixture.log.trim(3_400), fixture.append(changeOf(3_501))]);
      expect(trimmed).toBe(3_399);
      expect(appended[0]?.sequence).toBe(3_501);
      expect(await fixture.log.read(3_399, ALL)).toHaveLength(102);
    });

    it('tells its listeners after the append is durable, until they leave', async () => {
      await using fixture = await open();
      const heads: number[] = [];
      const stop = fixture.log.onAdvance(() => heads.push(fixture.log.head().sequence));
      await fixture.append(changeOf(1), changeOf(2));
      await fixture.append(changeOf(3));
      stop();
      await fixture.append(changeOf(4));
      expect(heads).toEqual([2, 3]);
    });
  });
}
