import { afterEach, describe, expect, it } from 'vitest';
import type { CopySource } from '../../replica/copy-source.ts';
import { LiveCopy } from '../../replica/live-copy.ts';
import { SqliteChangeLog } from '../../src/changelog/sqlite-change-log.ts';
import type { LogEntry } from '../../src/model/change.ts';
import { Database } from '../../src/sqlite/database.ts';
import { SqliteStore } from '../../src/store/sqlite-store.ts';
import { eventually } from '../support/eventually.ts';
import { openSqliteStore, type SqliteFixture } from '../support/sqlite-store.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const COLLECTIONS = ['pupils', 'teachers'];
const SPECS = COLLECTIONS.map((name) => ({ name, indexes: [] }));

let parts = new AsyncDisposableStack();
afterEach(async () => {
  await parts.disposeAsync();
  parts = new AsyncDisposableStack();
});

/** A database to copy, on an embedded store, with faults. */
class Original {
  readonly faults = { pages: 0 };
  readonly fixture: SqliteFixture;
  pages = 0;

  constructor(fixture: SqliteFixture) {
    this.fixture = fixture;
  }

  static async open(): Promise<Original> {
    return new Original(parts.use(await openSqliteStore(SPECS)));
  }

  get source(): CopySource {
    const { log, rows } = this.fixture;
    return {
      log,
      onEntries: (listener) => {
        let told = log.head().sequence;
        return log.onAdvance(() => {
          void log.read(told, { maxChanges: 10_000, maxBytes: 1e9 }).then((entries: readonly LogEntry[]) => {
            const fresh = entries.filter(({ sequence }) => sequence > told);
            told = fresh.at(-1)?.sequence ?? told;
            listener(fresh);
          });
        });
      },
      page: async (collection, after, _limit, maxBytes) => {
        if (this.faults.pages > 0) {
          this.faults.pages -= 1;
          throw new Error('the database did not answer');
        }
        this.pages += 1;
        return rows.page(collection, after, 10, maxBytes);
      },
      existing: async (collection, ids) => new Set(rows.rows(collection, ids).map(({ id }) => id)),
    };
  }

  async insert(collection: string, from: number, to: number): Promise<void> {
    for (let _id = from; _id < to; _id++) await this.fixture.store.collection(collection).insertOne({ _id, n: 0 });
  }

  digests() {
    return COLLECTIONS.map((name) => this.fixture.rows.buckets(name).digest());
  }
}

/** The copy's own database; opened again after each `restart`. */
async function place() {
  const directory = parts.use(await temporaryDirectory());
  const problems: unknown[] = [];
  const open = async (source: CopySource, collections: readonly string[] = COLLECTIONS) => {
    const database = Database.open({ directory: directory.path });
    try {
      const log = await SqliteChangeLog.open(database);
      const store = await SqliteStore.open({ database, outbox: log, collections: SPECS });
      const onProblem = (error: unknown): void => void problems.push(error);
      const copy = await LiveCopy.open({ database, log, store, collections, onProblem });
      const follow = () => copy.follow(source);
      const stop = async (): Promise<void> => {
        await copy.stop();
        await database.close();
      };
      parts.defer(stop);
      return { copy, follow, log, store, stop, digests: () => COLLECTIONS.map((name) => store.buckets(name).digest()) };
    } catch (error) {
      await database.close();
      throw error;
    }
  };
  return { open, problems };
}

describe('a live copy', () => {
  it('holds what the database held before it, and what is written while it loads', async () => {
    const original = await Original.open();
    await original.insert('teachers', 0, 200);
    const { copy, follow, digests, log } = await (await place()).open(original.source);
    expect(copy.isComplete).toBe(false);
    await follow();
    await original.insert('pupils', 0, 100);
    await original.fixture.store.collection('teachers').updateMany({ _id: { $lt: 50 } }, { $inc: { n: 1 } });
    await original.fixture.store.collection('teachers').deleteMany({ _id: { $gte: 190 } });
    await eventually('the copy is at the head', () => log.head().sequence === original.fixture.log.head().sequence);
    await eventually('the copy is settled', () => copy.isSettled);
    expect(digests()).toEqual(original.digests());
    expect(copy.diverged).toBe(0);
  });

  it('pages in a collection that is copied from now on, and has it whole only then', async () => {
    const original = await Original.open();
    await original.insert('pupils', 0, 30);
    await original.insert('teachers', 0, 30);
    const { open } = await place();
    const first = await open(original.source, ['teachers']);
    await first.follow();
    await eventually('the copy is settled', () => first.copy.isSettled);
    expect(first.copy.holds('pupils')).toBe(false);
    await original.insert('pupils', 30, 40);
    await first.stop();
    const second = await open(original.source);
    expect(second.copy.holds('teachers')).toBe(true);
    expect(second.copy.holds('pupils')).toBe(false);
    await second.follow();
    await eventually('it has the other one too', () => second.copy.holds('pupils'));
    expect(second.digests()).toEqual(original.digests());
  });

  it('goes on after a restart where it stood, without loading again', async () => {
    const original = await Original.open();
    await original.insert('teachers', 0, 30);
    const { open } = await place();
    const first = await open(original.source);
    await first.follow();
    await eventually('the copy is settled', () => first.copy.isSettled);
    await first.stop();
    await original.insert('teachers', 30, 60);
    const pages = original.pages;
    const second = await open(original.source);
    expect(second.copy.isComplete).toBe(true);
    await second.follow();
    expect(await second.copy.reached(60, 10_000)).toBe(true);
    expect(second.digests()).toEqual(original.digests());
    expect(original.pages).toBe(pages);
  });

  it('goes on loading where a stopped load stood', async () => {
    const original = await Original.open();
    await original.insert('teachers', 0, 100);
    const { open } = await place();
    const first = await open(original.source);
    await first.follow();
    await eventually('some pages are in', () => original.pages > 2);
    await first.stop();
    const pages = original.pages;
    const second = await open(original.source);
    await second.follow();
    await eventually('the copy is settled', () => second.copy.isSettled);
    expect(second.digests()).toEqual(original.digests());
    // 100 rows and an empty collection are 11 pages; one may have been read twice.
    expect(original.pages).toBeLessThanOrEqual(13);
    expect(original.pages).toBeGreaterThanOrEqual(pages);
  });

  it('loads anew what changed while the log was trimmed, and removes what is gone', async () => {
    const original = await Original.open();
    await original.insert('teachers', 0, 50);
    const { open } = await place();
    const first = await open(original.source);
    await first.follow();
    await eventually('the copy is settled', () => first.copy.isSettled);
    await first.stop();
    await original.fixture.store.collection('teachers').deleteMany({ _id: { $lt: 20 } });
    await original.insert('pupils', 0, 30);
    await original.fixture.log.trim(original.fixture.log.head().sequence);
    await original.fixture.store.prune({ now: Date.now(), logFloor: original.fixture.log.floor() });
    const second = await open(original.source);
    expect(second.copy.isComplete).toBe(true);
    await second.follow();
    expect(second.copy.isSettled).toBe(false);
    await eventually('the copy is settled', () => second.copy.isSettled);
    expect(second.digests()).toEqual(original.digests());
  });

  it('tells once that the database does not answer, and once that it does again', async () => {
    const original = await Original.open();
    await original.insert('teachers', 0, 50);
    original.faults.pages = 3;
    const { open, problems } = await place();
    const { copy, follow, digests } = await open(original.source);
    await follow();
    await eventually('the copy is settled', () => copy.isSettled);
    expect(digests()).toEqual(original.digests());
    await eventually('both were told', () => problems.length === 2);
    expect(problems).toEqual([expect.any(Error), null]);
  });

  it('tells what a try finds out that the one before did not', async () => {
    const original = await Original.open();
    await original.insert('teachers', 0, 5);
    const failures = ['no answer', 'no answer', 'another history'];
    const page: CopySource['page'] = async (...args) => {
      const failure = failures.shift();
      if (failure !== undefined) throw new Error(failure);
      return original.source.page(...args);
    };
    const { open, problems } = await place();
    const { follow } = await open({ ...original.source, page });
    await follow();
    await eventually('all were told', () => problems.length === 3);
    expect(problems).toEqual([new Error('no answer'), new Error('another history'), null]);
  });

  it('refuses to follow another history', async () => {
    const { open } = await place();
    const one = await Original.open();
    await one.insert('teachers', 0, 5);
    const first = await open(one.source);
    await first.follow();
    expect(await first.copy.reached(5, 10_000)).toBe(true);
    await first.stop();
    const other = await Original.open();
    await expect((await open(other.source)).follow()).rejects.toMatchObject({ code: 'FORK' });
  });

  it('refuses a database that lost changes it holds', async () => {
    const { open } = await place();
    const original = await Original.open();
    await original.insert('teachers', 0, 5);
    const first = await open(original.source);
    await first.follow();
    expect(await first.copy.reached(5, 10_000)).toBe(true);
    await first.stop();
    const { log } = original.fixture;
    const older = { ...original.source, log: behind(log, 3) };
    const second = await open(older);
    await expect(second.follow()).rejects.toMatchObject({
      code: 'FORK',
      message: expect.stringContaining('last change is 3'),
    });
    const rewritten = { ...original.source, log: otherwise(log) };
    await second.stop();
    await expect((await open(rewritten)).follow()).rejects.toMatchObject({ code: 'FORK' });
  });

  it('stands still and says so when the database is restored to an older state under it, until it has what is here again', async () => {
    const original = await Original.open();
    await original.insert('teachers', 0, 5);
    const { log } = original.fixture;
    const listeners = new Set<() => void>();
    let restored = { head: log.head(), generation: 0 };
    const now = new Proxy(log, {
      get: (target, name) => {
        if (name === 'head') return () => restored.head;
        if (name === 'generation') return restored.generation;
        if (name === 'onAdvance') {
          return (listener: () => void) => {
            listeners.add(listener);
            return () => listeners.delete(listener);
          };
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const become = (next: typeof restored): void => {
      restored = next;
      for (const listener of [...listeners]) listener();
    };
    const { open, problems } = await place();
    const { copy, follow } = await open({ ...original.source, log: now, onEntries: () => () => {} });
    await follow();
    await eventually('the copy is settled', () => copy.isSettled);

    const whole = log.head();
    become({ head: { ...whole, sequence: 3 }, generation: 1 });
    expect(copy.isSettled).toBe(false);
    const told = expect.objectContaining({ code: 'FORK', message: expect.stringContaining('last change is 3') });
    await eventually('it is told', () => problems.length > 0 && told.asymmetricMatch(problems.at(-1)));
    expect(copy.isSettled).toBe(false);

    become({ head: whole, generation: 2 });
    await eventually('it goes on', () => problems.at(-1) === null);
    expect(copy.isSettled).toBe(true);
  });

  it('counts changes that were made on another document than the one it holds', async () => {
    const original = await Original.open();
    await original.insert('teachers', 0, 2);
    const { copy, follow, store, log } = await (await place()).open(original.source);
    await follow();
    await eventually('the copy is settled', () => copy.isSettled);
    const { database } = original.fixture;
    // A writer beside the log: same version, another content.
    const [row] = original.fixture.rows.rows('teachers', ['1']);
    await database.transaction((transaction) =>
      original.fixture.rows.put(transaction, 'teachers', { ...row!, text: '{"_id":1,"n":7}' }, 0, true),
    );
    await original.fixture.store.collection('teachers').updateOne({ _id: 1 }, { $inc: { n: 1 } });
    await eventually('the copy is at the head', () => log.head().sequence === original.fixture.log.head().sequence);
    expect(copy.diverged).toBe(1);
    expect(store.rows('teachers', ['1'])[0]?.text).toBe('{"_id":1,"n":8}');
  });
});

/** The same log as it was at `sequence`. */
function behind(log: SqliteChangeLog, sequence: number): SqliteChangeLog {
  return new Proxy(log, {
    get: (target, name) => {
      if (name === 'head') return () => ({ ...target.head(), sequence });
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** The same log with another last change. */
function otherwise(log: SqliteChangeLog): SqliteChangeLog {
  return new Proxy(log, {
    get: (target, name) => {
      if (name === 'head') return () => ({ ...target.head(), chain: 'f'.repeat(32) });
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
