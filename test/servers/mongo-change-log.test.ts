import { MongoClient } from 'mongodb';
import { describe, expect, it } from 'vitest';
import type { EntryBatch } from '../../src/changelog/log-following.ts';
import { MongoChangeLog } from '../../src/changelog/mongo-change-log.ts';
import { MongoLogStorage } from '../../src/changelog/mongo-log-storage.ts';
import { type Change, chainHash, GENESIS_CHAIN, type LogEntry } from '../../src/model/change.ts';
import { type ChangeLogFixture, changeLogContract, changeOf } from '../contract/change-log.ts';
import { eventually } from '../support/eventually.ts';
import { keyed, type MongoLogs, mongoClient, mongoLogs } from '../support/mongo-log.ts';
import { seededRandom } from '../support/random.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { shared } from '../support/servers/shared.ts';

const ALL = { maxChanges: 100_000, maxBytes: 1e9 };

/** The whole log as the database has it, after its density and its chain were verified. */
async function verified(logs: MongoLogs): Promise<readonly LogEntry[]> {
  const log = await logs.open();
  const entries = await log.read(0, ALL);
  let chain = GENESIS_CHAIN;
  for (const [place, entry] of entries.entries()) {
    chain = chainHash(chain, 1, place + 1, entry);
    expect(entry).toMatchObject({ sequence: place + 1, chain });
  }
  expect(log.head()).toMatchObject({ sequence: entries.length, chain });
  const names = entries.map(({ id, version }) => `${id} ${version}`);
  expect(new Set(names).size).toBe(names.length);
  return entries;
}

/** What happened to one change. */
interface Sent {
  readonly change: Change;
  entry?: LogEntry;
  code?: string;
}

/** Appends changes numbered from `first` one after another until `stop` says so. */
async function write(log: MongoChangeLog, first: number, stop: (count: number) => boolean): Promise<Sent[]> {
  const sent: Sent[] = [];
  for (let count = 0; !stop(count); count++) {
    const one: Sent = { change: changeOf(first + count) };
    sent.push(one);
    try {
      const [entry] = await log.append([keyed(one.change)]);
      one.entry = entry as LogEntry;
    } catch (error) {
      one.code = (error as { code: string }).code;
    }
  }
  return sent;
}

/** Checks what became of changes against the log. */
function expectOutcomes(entries: readonly LogEntry[], sent: readonly Sent[]): void {
  const found = new Map(entries.map((entry) => [entry.id, entry]));
  for (const { change, entry, code } of sent) {
    if (entry !== undefined) expect(found.get(change.id)).toEqual(entry);
    else if (code === 'DATABASE_UNAVAILABLE') expect(found.has(change.id)).toBe(false);
    else expect(code).toBe('WRITE_OUTCOME_UNKNOWN');
  }
}

describeWith('mongodb', 'the change log on MongoDB', ({ killable }) => {
  const server = shared(startMongo);

  async function open(): Promise<ChangeLogFixture> {
    const logs = await mongoLogs(server().url);
    const patient = { commandMs: 20_000, appendMs: 60_000, keepMs: 0 };
    const fixture = {
      log: await logs.open(patient),
      append: (...changes: Change[]) => fixture.log.append(changes.map(keyed)),
      async reopen() {
        await fixture.log.close();
        fixture.log = await logs.open(patient);
      },
      [Symbol.asyncDispose]: () => logs[Symbol.asyncDispose](),
    };
    return fixture;
  }

  changeLogContract('MongoChangeLog', open);

  it('believes what others appended only when it outlives a crash of the server', async () => {
    await using logs = await mongoLogs(server().url);
    const log = await logs.open();
    await log.append([keyed(changeOf(1)), keyed(changeOf(2))]);
    await using client = new MongoClient(server().url, { monitorCommands: true });
    const database = client.db(logs.database.databaseName);
    const storage = new MongoLogStorage({ database, timeoutMs: 20_000, newLogId: 'b'.repeat(32) });
    await storage.prepare();
    const isSet = (await database.command({ hello: 1 })).setName !== undefined;

    const commands: { readonly name: string; readonly concern: unknown }[] = [];
    client.on('commandStarted', ({ commandName: name, command }) => {
      commands.push({ name, concern: command.writeConcern ?? command.readConcern?.level });
    });
    const asked = async (read: () => Promise<unknown>) => {
      commands.length = 0;
      await read();
      return commands.filter(({ name }) => name !== 'getMore').map(({ name, concern }) => ({ name, concern }));
    };
    const read = { name: 'find', concern: isSet ? 'majority' : 'local' };
    const barrier = isSet ? [] : [{ name: 'update', concern: { w: 'majority', j: true } }];

    expect(await asked(() => storage.read(0, 1, ALL))).toEqual([read, ...barrier]);
    expect(await asked(() => storage.read(0, 1, ALL))).toEqual([read]);
    expect(await asked(() => storage.chainAt(2))).toEqual([read, ...barrier]);
    expect(await asked(() => storage.ofVersion('things', changeOf(2).id, changeOf(2).version))).toEqual([read]);
    // Perhaps another history.
    expect(await asked(() => storage.newest(10))).toEqual([read, ...barrier]);
  });

  describe('of several primaries', () => {
    it('has one identity, whoever opens it first', async () => {
      await using logs = await mongoLogs(server().url);
      const opened = await Promise.all([logs.open(), logs.open(), logs.open(), logs.open()]);
      expect(new Set(opened.map(({ logId }) => logId)).size).toBe(1);
    });

    it.each([2, 4])(
      'is dense and chained when %i append at the same time, each change once and in its own order',
      async (count) => {
        await using logs = await mongoLogs(server().url);
        const opened = await Promise.all(Array.from({ length: count }, () => logs.open()));
        const batches = opened.map((log) => {
          const seen: EntryBatch[] = [];
          log.onEntries((batch) => seen.push(batch));
          return seen;
        });
        const random = seededRandom(count);
        const appended = await Promise.all(
          opened.map(async (log, process) => {
            const entries: LogEntry[] = [];
            for (let round = 0; round < 30; round++) {
              const first = process * 1_000 + round * 10;
              const changes = Array.from({ length: 1 + Math.floor(random() * 3) }, (_, place) =>
                changeOf(first + place),
              );
              entries.push(...(await log.append(changes.map(keyed))));
            }
            return entries;
          }),
        );
        const entries = await verified(logs);
        expect(entries).toHaveLength(appended.flat().length);
        for (const [process, own] of appended.entries()) {
          expect(own.map(({ sequence }) => entries[sequence - 1])).toEqual(own);
          expect(own.map(({ sequence }) => sequence)).toEqual(
            own.map(({ sequence }) => sequence).sort((a, b) => a - b),
          );
          const seen = batches[process] as EntryBatch[];
          await eventually('the last entry', () => seen.at(-1)?.entries.at(-1)?.sequence === entries.length);
          expect(seen.flatMap((batch) => batch.entries)).toEqual(entries);
          expect(seen.flatMap((batch) => (batch.own ? batch.entries : []))).toEqual(own);
        }
      },
    );

    it('takes a change once that two append, and gives both the same entry', async () => {
      await using logs = await mongoLogs(server().url);
      const [one, other] = await Promise.all([logs.open(), logs.open()]);
      const change = keyed({ ...changeOf(1), key: 'a'.repeat(32) });
      const [[first], [second]] = await Promise.all([one.append([change]), other.append([change])]);
      expect(first).toEqual(second);
      expect(await one.append([change, keyed(changeOf(2))])).toMatchObject([first, { sequence: 2 }]);
      expect(await verified(logs)).toHaveLength(2);
    });

    it('refuses a key that another document was written under, and takes the rest of the call', async () => {
      await using logs = await mongoLogs(server().url);
      const log = await logs.open();
      const key = 'b'.repeat(32);
      await log.append([keyed({ ...changeOf(1), key })]);
      const call = log.append([keyed(changeOf(2)), keyed({ ...changeOf(3), key }), keyed(changeOf(4))]);
      await expect(call).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
      expect((await verified(logs)).map(({ id }) => id)).toEqual(['1', '2', '4']);
      expect(await log.entryOfKey(key)).toMatchObject({
        id: '1',
        digest: 'd'.repeat(32),
        position: { epoch: 1, sequence: 1 },
      });
      expect(await log.entryOfVersion('people', '4', 1_004)).toMatchObject({ sequence: 3 });
      expect(await log.entryOfVersion('people', '3', 1_003)).toBeUndefined();
    });

    it('is followed without an append, at the latest after a while, at once when somebody rings', async () => {
      await using logs = await mongoLogs(server().url);
      const [writer, polling, rung] = await Promise.all([logs.open(), logs.open(), logs.open({ tailMs: 1e9 })]);
      const heads: number[] = [];
      polling.onAdvance(() => heads.push(polling.head().sequence));
      rung.onAdvance(() => heads.push(rung.head().sequence));
      await writer.append([keyed(changeOf(1))]);
      await eventually('the poll', () => heads.length === 1);
      expect(rung.head().sequence).toBe(0);
      rung.poke(1);
      await eventually('the ring', () => heads.length === 2);
      expect(await rung.read(0, ALL)).toEqual(await writer.read(0, ALL));
    });

    it('follows a new epoch that another one began', async () => {
      await using logs = await mongoLogs(server().url);
      const log = await logs.open();
      const [first] = await log.append([keyed(changeOf(1))]);
      const nothing = { operation: 'EPOCH', collection: '', id: '', version: 0, before: null, after: null } as const;
      const begun = { ...nothing, at: 5, image: null, key: null };
      const chain = chainHash(first?.chain as string, 2, 2, begun);
      const { operation, at, before, after } = begun;
      await logs.database
        .collection<{ _id: number }>('holdfast_log')
        .insertOne({ _id: 2, epoch: 2, operation, at, before, after, chain } as never);
      const [third] = await log.append([keyed(changeOf(3))]);
      expect(third).toMatchObject({ epoch: 2, sequence: 3 });
      for (const one of [log, await logs.open()]) {
        expect(one.epochs()).toEqual([
          { epoch: 1, firstSequence: 1 },
          { epoch: 2, firstSequence: 2 },
        ]);
        expect(await one.entry(2)).toEqual({ ...begun, epoch: 2, sequence: 2, chain });
      }
    });
  });

  it('keeps the largest image there is, and removes it with its entry', async () => {
    await using logs = await mongoLogs(server().url);
    const log = await logs.open({ commandMs: 20_000, appendMs: 60_000 });
    const image = `"é${'x'.repeat(16 * 1024 * 1024 - 4)}"`;
    const sent = [keyed({ ...changeOf(1), image }), keyed(changeOf(2, 7 * 1024 * 1024)), keyed(changeOf(3))];
    const appended = await log.append(sent);
    const again = await logs.open({ commandMs: 20_000 });
    expect((await again.entry(1))?.image === image).toBe(true);
    expect((await again.read(0, ALL)).map((entry) => entry.image?.length)).toEqual(
      sent.map((change) => change.image?.length),
    );
    expect(await again.append(sent)).toMatchObject(appended.map(({ sequence }) => ({ sequence })));
    await log.trim(3);
    expect(await logs.database.collection('holdfast_log_parts').countDocuments()).toBe(0);
  });

  describe('when a trim is stopped', () => {
    const STEPS = ['keepKeys', 'chainAt', 'raiseFloor', 'removeBelow'] as const;

    it.each(STEPS.flatMap((step) => [[step, 'before'] as const, [step, 'after'] as const]))(
      'at %s, %s it is done, the next one finishes it and no key is lost',
      async (step, when) => {
        await using logs = await mongoLogs(server().url);
        const log = await logs.open();
        const key = (number: number) => number.toString(16).padStart(32, '0');
        await log.append([1, 2, 3, 4].map((number) => keyed({ ...changeOf(number), key: key(number) })));
        const storage = new MongoLogStorage({ database: logs.database, timeoutMs: 2_000, newLogId: '' });
        const trimming = await MongoChangeLog.over(storage, { keepMs: 0 });
        const done = storage[step].bind(storage) as (...args: unknown[]) => Promise<unknown>;
        let calls = 0;
        Object.assign(storage, {
          async [step](...args: unknown[]) {
            calls += 1;
            // The first look at the chain and the first removal come before the slice.
            const stops = calls === (step === 'chainAt' || step === 'removeBelow' ? 2 : 1);
            if (!stops || when === 'after') await done(...args);
            if (stops) throw new Error('stopped');
          },
        });
        await expect(trimming.trim(3)).rejects.toThrow('stopped');
        const after = await logs.open();
        for (const number of [1, 2, 3, 4])
          expect(await after.entryOfKey(key(number))).toMatchObject({ id: String(number) });
        await after.trim(3);
        expect([after.floor(), (await after.read(2, ALL)).length]).toEqual([3, 2]);
        expect(await logs.database.collection('holdfast_log').countDocuments()).toBe(2);
        expect(await after.entryOfKey(key(1))).toMatchObject({ id: '1', image: null, position: { sequence: 1 } });
        // The other one has not heard of it.
        await expect(log.trim(2)).resolves.toBe(0);
        await expect(log.read(0, ALL)).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' });
        expect(await after.pruneKeys(2_002)).toBe(1);
        expect(await after.entryOfKey(key(1))).toBeUndefined();
        expect(await after.entryOfKey(key(2))).toMatchObject({ id: '2' });
      },
    );
  });

  it('tells a reader elsewhere that entries were trimmed', async () => {
    await using logs = await mongoLogs(server().url);
    const log = await logs.open();
    await log.append([1, 2, 3].map((number) => keyed(changeOf(number))));
    const reader = await logs.open();
    await log.trim(3);
    await expect(reader.read(0, ALL)).rejects.toMatchObject({ code: 'CURSOR_EXPIRED', details: { oldest: '1.2' } });
    expect(reader.floor()).toBe(3);
  });

  it('does not take what was put below the floor for an entry', async () => {
    await using logs = await mongoLogs(server().url);
    const log = await logs.open();
    await log.append([1, 2, 3].map((number) => keyed(changeOf(number))));
    await log.trim(3);
    // A process that was stopped for as long as the log is kept puts its entry where its log ended.
    const [ghost] = (await log.read(2, ALL)) as [LogEntry];
    const { _id, ...fields } = { ...ghost, _id: 2, id: '9', version: 1_009 };
    await logs.database
      .collection<{ _id: number }>('holdfast_log')
      .insertOne({ _id, ...fields, key: 'c'.repeat(32) } as never);
    expect(await log.entryOfVersion('people', '9', 1_009)).toBeUndefined();
    expect(await log.entryOfKey('c'.repeat(32))).toBeUndefined();
    expect(await log.append([keyed({ ...changeOf(9), key: 'c'.repeat(32) })])).toMatchObject([
      { sequence: 4, id: '9' },
    ]);
  });

  it('becomes another history when the database was restored to an older state', async () => {
    await using logs = await mongoLogs(server().url);
    const log = await logs.open({ appendMs: 20_000 });
    await log.append([1, 2, 3].map((number) => keyed(changeOf(number))));
    let advanced = 0;
    log.onAdvance(() => advanced++);
    await logs.database.collection<{ _id: number }>('holdfast_log').deleteMany({ _id: { $gt: 1 } });
    await log.trim(1);
    expect([log.generation, log.head().sequence, advanced]).toEqual([1, 1, 1]);
    expect(await log.append([keyed(changeOf(7))])).toMatchObject([{ sequence: 2 }]);
    await verified(logs);
  });

  it('is not opened when its newest entries do not continue each other', async () => {
    await using logs = await mongoLogs(server().url);
    const log = await logs.open();
    await log.append([1, 2, 3].map((number) => keyed(changeOf(number))));
    await logs.database.collection<{ _id: number }>('holdfast_log').updateOne({ _id: 2 }, { $set: { at: 1 } });
    await expect(logs.open()).rejects.toMatchObject({ code: 'INTERNAL_SERVER_ERROR' });
  });

  it('says that nobody is there', async () => {
    const client = mongoClient('mongodb://127.0.0.1:1');
    try {
      const opening = MongoChangeLog.open({ database: client.db('x'), commandMs: 500 });
      await expect(opening).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    } finally {
      await client.close();
    }
  });

  describe.skipIf(!killable)('when the server is killed', () => {
    it('has every answered append once, and none that was refused, after kill -9 under load', async () => {
      await using own = await startMongo();
      await using logs = await mongoLogs(own.url);
      const troubles: string[] = [];
      const options = {
        appendMs: 1_500,
        onTrouble: () => troubles.push('down'),
        onRecovered: () => troubles.push('up'),
      };
      const opened = await Promise.all([logs.open(options), logs.open()]);
      // Looks all the time, so that it sees what is not durable yet if it can.
      const follower = await logs.open({ tailMs: 1 });
      const followed: LogEntry[] = [];
      follower.onEntries(({ entries }) => followed.push(...entries));
      let stopped = false;
      const writing = Promise.all(
        Array.from({ length: 8 }, (_, writer) =>
          write(opened[writer % 2] as MongoChangeLog, writer * 100_000, () => stopped),
        ),
      );
      for (let round = 0; round < Number(process.env.ROUNDS ?? 5); round++) {
        const before = opened[0]?.head().sequence ?? 0;
        await eventually('some appends', () => (opened[0]?.head().sequence ?? 0) > before + 20, 60_000);
        await own.kill();
        await own.restart();
      }
      const before = opened[0]?.head().sequence ?? 0;
      await eventually('appends after the last start', () => (opened[0]?.head().sequence ?? 0) > before + 20, 60_000);
      stopped = true;
      const sent = (await writing).flat();
      const entries = await verified(logs);
      expectOutcomes(entries, sent);
      expect(troubles.slice(0, 2)).toEqual(['down', 'up']);
      expect(followed.length).toBeGreaterThan(0);
      for (const entry of followed) expect(entries[entry.sequence - 1]).toEqual(entry);
    });

    it('says that it does not know when the server hangs, and finds out when it is asked again', async () => {
      await using own = await startMongo();
      await using logs = await mongoLogs(own.url);
      const log = await logs.open({ appendMs: 600, commandMs: 300 });
      await log.append([keyed(changeOf(1))]);
      await own.suspend();
      const unsure = log.append([keyed(changeOf(2))]);
      await expect(unsure).rejects.toMatchObject({ code: 'WRITE_OUTCOME_UNKNOWN' });
      await expect(log.append([keyed(changeOf(3))])).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
      await own.resume();
      const again = await eventually('an answer', () => log.append([keyed(changeOf(2))]).catch(() => undefined));
      expect(again).toMatchObject([{ sequence: 2, id: '2' }]);
      expect((await verified(logs)).map(({ id }) => id)).toEqual(['1', '2']);
    });
  });
});
