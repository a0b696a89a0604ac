import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isHoldfastError } from '../../src/errors.ts';
import { Database, type LastWrite, type Transaction } from '../../src/sqlite/database.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const CHILD = join(import.meta.dirname, 'writer.child.ts');

/** An open database with a table `t (n)`, closed and removed at the end of the scope. */
/** Its groups take no time unless `now` says so: what is asked for together is written together, however slow the machine is. */
async function openDatabase(schedule?: (flush: () => void) => void, now = () => 0) {
  const directory = await temporaryDirectory();
  const database = Database.open({ directory: directory.path, now, ...(schedule && { schedule }) });
  const created = database.transaction((transaction) => transaction.exec('CREATE TABLE t (n INTEGER PRIMARY KEY)'));
  return {
    database,
    created,
    directory: directory.path,
    async [Symbol.asyncDispose]() {
      await database.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

function insert(n: number): (transaction: Transaction) => void {
  return (transaction) => {
    transaction.prepare('INSERT INTO t (n) VALUES (?)').run(n);
  };
}

function numbersIn(database: Database, reader: Pick<Transaction, 'prepare'> = database.reader): unknown[] {
  return reader
    .prepare('SELECT n FROM t ORDER BY n')
    .all()
    .map(({ n }) => n);
}

function refusal(open: () => unknown): { code: string; message: string } {
  try {
    open();
  } catch (error) {
    if (isHoldfastError(error)) return error;
    throw error;
  }
  throw new Error('it was opened');
}

describe('group commit', () => {
  it('commits work that arrives together at once, and resolves when it is committed', async () => {
    const flushes: (() => void)[] = [];
    await using fixture = await openDatabase((flush) => flushes.push(flush));
    const { database } = fixture;
    flushes.shift()?.();
    await fixture.created;
    const seen: unknown[][] = [];
    const work = [1, 2, 3].map((n) => database.transaction(insert(n)).then(() => seen.push(numbersIn(database))));
    expect(flushes).toHaveLength(1);
    expect(numbersIn(database)).toEqual([]);
    flushes.shift()?.();
    expect(numbersIn(database)).toEqual([1, 2, 3]);
    await Promise.all(work);
    expect(seen).toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });

  it('gives the value of the work, in the order of the calls', async () => {
    await using fixture = await openDatabase();
    const order: number[] = [];
    const values = await Promise.all(
      [1, 2, 3].map((n) =>
        fixture.database.transaction(() => {
          order.push(n);
          return n * 2;
        }),
      ),
    );
    expect([order, values]).toEqual([
      [1, 2, 3],
      [2, 4, 6],
    ]);
  });

  it('takes back the work that fails, and keeps its neighbours', async () => {
    await using fixture = await openDatabase();
    const { database } = fixture;
    const results = await Promise.allSettled([
      database.transaction(insert(1)),
      database.transaction((transaction) => {
        insert(2)(transaction);
        throw new Error('refused');
      }),
      database.transaction(insert(1)),
      database.transaction(insert(3)),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    expect(results[1]).toMatchObject({ reason: { message: 'refused' } });
    expect(results[2]).toMatchObject({ reason: { message: expect.stringContaining('UNIQUE') } });
    expect(numbersIn(database)).toEqual([1, 3]);
  });

  it('does not commit a long queue in one go', async () => {
    const flushes: (() => void)[] = [];
    let nowMs = 0;
    await using fixture = await openDatabase(
      (flush) => flushes.push(flush),
      () => nowMs,
    );
    const { database } = fixture;
    flushes.shift()?.();
    const busy = (n: number) => (transaction: Transaction) => {
      insert(n)(transaction);
      nowMs += 20;
    };
    const work = [database.transaction(busy(1)), database.transaction(insert(2))];
    flushes.shift()?.();
    expect(numbersIn(database)).toEqual([1]);
    flushes.shift()?.();
    await Promise.all(work);
    expect(numbersIn(database)).toEqual([1, 2]);
  });
});

describe('hooks', () => {
  it('write at the end of a piece of work what its steps changed, once', async () => {
    await using fixture = await openDatabase();
    const { database } = fixture;
    await fixture.created;
    let total = 0;
    let written = 0;
    const save: LastWrite = (transaction) => {
      written += 1;
      transaction.prepare('REPLACE INTO t (n) VALUES (?)').run(1_000 + total);
    };
    const add = (numbers: readonly number[], refused = false) =>
      database.transaction((transaction) => {
        const before = numbersIn(database, transaction);
        for (const n of numbers) {
          total += n;
          transaction.onRollback(() => {
            total -= n;
          });
          transaction.atEnd(save);
        }
        if (refused) throw new Error('refused');
        return before;
      });
    const results = await Promise.allSettled([add([1], true), add([2, 3]), add([9], true), add([4])]);
    expect(results[3]).toEqual({ status: 'fulfilled', value: [1_005] });
    expect([written, numbersIn(database)]).toEqual([2, [1_005, 1_009]]);
  });

  it('refuse the work when what it writes at its end fails, and keep its neighbours', async () => {
    await using fixture = await openDatabase();
    const { database } = fixture;
    await fixture.created;
    const undone: number[] = [];
    const write = (n: number, last: number) =>
      database.transaction((transaction) => {
        insert(n)(transaction);
        transaction.onRollback(() => undone.push(n));
        transaction.atEnd((connection) => connection.prepare('INSERT INTO t (n) VALUES (?)').run(last));
      });
    const results = await Promise.allSettled([write(1, 1), write(2, 20), write(3, 2), write(4, 40)]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled']);
    expect([undone, numbersIn(database)]).toEqual([
      [1, 3],
      [2, 4, 20, 40],
    ]);
  });

  it('undoes changes of memory last first, before the promise rejects', async () => {
    await using fixture = await openDatabase();
    const calls: string[] = [];
    const failing = fixture.database.transaction((transaction) => {
      transaction.onRollback(() => calls.push('first'));
      transaction.onRollback(() => calls.push('second'));
      transaction.onCommit(() => calls.push('committed'));
      throw new Error('refused');
    });
    await failing.catch(() => calls.push('rejected'));
    expect(calls).toEqual(['second', 'first', 'rejected']);
  });

  it('tells of the commit in order, before the promise resolves, when readers can see it', async () => {
    await using fixture = await openDatabase();
    const { database } = fixture;
    const calls: unknown[] = [];
    const write = (n: number) =>
      database
        .transaction((transaction) => {
          insert(n)(transaction);
          transaction.onRollback(() => calls.push('rolled back'));
          transaction.onCommit(() => calls.push([n, numbersIn(database)]));
        })
        .then(() => calls.push(`resolved ${n}`));
    await Promise.all([write(1), write(2)]);
    expect(calls).toEqual([[1, [1, 2]], [2, [1, 2]], 'resolved 1', 'resolved 2']);
  });

  it('undoes a whole group, last first, when the commit fails', async () => {
    await using fixture = await openDatabase();
    const { database } = fixture;
    await database.transaction((transaction) =>
      transaction.exec('CREATE TABLE c (n REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED)'),
    );
    const calls: number[] = [];
    const write = (n: number) =>
      database.transaction((transaction) => {
        insert(n)(transaction);
        transaction.onRollback(() => calls.push(n));
        // Looked at by COMMIT only, which then fails.
        if (n === 2) transaction.exec('INSERT INTO c (n) VALUES (99)');
      });
    const results = await Promise.allSettled([write(1), write(2), write(3)]);
    expect(results.map((result) => result.status === 'rejected' && result.reason.code)).toEqual([
      'DATA_UNWRITABLE',
      'DATA_UNWRITABLE',
      'DATA_UNWRITABLE',
    ]);
    expect(calls).toEqual([3, 2, 1]);
    expect(numbersIn(database)).toEqual([]);
    await write(4);
    expect(numbersIn(database)).toEqual([4]);
  });

  it('tells nobody of a refusal that came from a neighbour whose group was not written', async () => {
    await using fixture = await openDatabase();
    const { database } = fixture;
    await database.transaction((transaction) =>
      transaction.exec('CREATE TABLE c (n REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED)'),
    );
    const results = await Promise.allSettled([
      database.transaction((transaction) =>
        transaction.exec('INSERT INTO t (n) VALUES (1); INSERT INTO c VALUES (99)'),
      ),
      database.transaction(insert(1)),
    ]);
    expect(results[1]).toMatchObject({ status: 'rejected', reason: { code: 'DATA_UNWRITABLE' } });
    await database.transaction(insert(1));
  });
});

describe('readers', () => {
  it('keep one state of the database while it is lent', async () => {
    await using fixture = await openDatabase();
    const { database } = fixture;
    await database.transaction(insert(1));
    const counts = await database.lend(async (connection) => {
      connection.exec('BEGIN');
      const count = () => connection.prepare('SELECT count(*) AS n FROM t').get()?.n;
      const before = count();
      await database.transaction(insert(2));
      return [before, count(), numbersIn(database).length];
    });
    expect(counts).toEqual([1, 1, 2]);
    expect(await database.lend(async (connection) => connection.database.isTransaction)).toBe(false);
  });

  it('cannot write', async () => {
    await using fixture = await openDatabase();
    await fixture.created;
    expect(() => fixture.database.reader.exec('INSERT INTO t (n) VALUES (1)')).toThrow('readonly');
  });
});

describe('the data directory', () => {
  it('is created with its parents', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'a', 'b');
    const database = Database.open({ directory: path });
    await database.close();
    expect(existsSync(join(path, 'holdfast.db'))).toBe(true);
  });

  it('belongs to one database at a time in this process', async () => {
    await using fixture = await openDatabase();
    const error = refusal(() => Database.open({ directory: fixture.directory }));
    expect([error.code, error.message]).toEqual(['DATA_LOCKED', expect.stringContaining(fixture.directory)]);
    await fixture.database.close();
    await Database.open({ directory: fixture.directory }).close();
  });

  it('is refused when it cannot be created or written', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'file');
    writeFileSync(file, '');
    expect(refusal(() => Database.open({ directory: join(file, 'data') })).code).toBe('DATA_UNWRITABLE');
    expect(refusal(() => Database.open({ directory: '/proc/holdfast/data' })).code).toBe('DATA_UNWRITABLE');
    const occupied = join(directory.path, 'occupied');
    mkdirSync(join(occupied, 'holdfast.db'), { recursive: true });
    expect(refusal(() => Database.open({ directory: occupied })).code).toBe('DATA_UNWRITABLE');
    // It is free again after the failure.
    expect(refusal(() => Database.open({ directory: occupied })).code).toBe('DATA_UNWRITABLE');
  });

  it.skipIf(process.getuid?.() === 0)('is refused when it is read-only', async () => {
    await using directory = await temporaryDirectory();
    chmodSync(directory.path, 0o500);
    expect(refusal(() => Database.open({ directory: directory.path })).code).toBe('DATA_UNWRITABLE');
    chmodSync(directory.path, 0o700);
  });

  it('is refused when the file is no database', async () => {
    await using directory = await temporaryDirectory();
    writeFileSync(join(directory.path, 'holdfast.db'), 'no database at all '.repeat(100));
    expect(refusal(() => Database.open({ directory: directory.path })).code).toBe('DATA_UNWRITABLE');
  });
});

describe('after close', () => {
  it('what was waiting is committed and further work is refused', async () => {
    await using directory = await temporaryDirectory();
    const database = Database.open({ directory: directory.path });
    const created = database.transaction((transaction) => transaction.exec('CREATE TABLE t (n INTEGER PRIMARY KEY)'));
    const inserted = database.transaction(insert(1));
    await database.close();
    await Promise.all([created, inserted]);
    await expect(database.transaction(insert(2))).rejects.toThrow('closed');
    await database.close();
    const again = Database.open({ directory: directory.path });
    expect(numbersIn(again)).toEqual([1]);
    await again.close();
  });
});

describe('another process', () => {
  it('is locked out while one holds the directory, and let in when that one was killed', async () => {
    await using directory = await temporaryDirectory();
    const child = spawn(process.execPath, [CHILD, directory.path, '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    expect(refusal(() => Database.open({ directory: directory.path })).code).toBe('DATA_LOCKED');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await Database.open({ directory: directory.path }).close();
  });

  it('keeps every acknowledged write when it is killed with -9, and nothing half', async () => {
    await using directory = await temporaryDirectory();
    for (let round = 0; round < 3; round++) {
      const child = spawn(process.execPath, [CHILD, directory.path, String(20 + round * 37)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
      const [, signal] = (await once(child, 'close')) as [number | null, string | null];
      expect(signal).toBe('SIGKILL');
      const acknowledged = output.split('\n').slice(0, -1).map(Number);
      expect(acknowledged.length).toBeGreaterThan(0);
      const database = Database.open({ directory: directory.path });
      const stored = new Set(numbersIn(database));
      expect(acknowledged.filter((n) => !stored.has(n))).toEqual([]);
      // Pairs are written together.
      expect([...stored].filter((n) => !stored.has((n as number) ^ 1))).toEqual([]);
      await database.close();
    }
  });

  it('gets the directory when this one has ended normally', async () => {
    await using directory = await temporaryDirectory();
    await Database.open({ directory: directory.path }).close();
    const script = `import { Database } from ${JSON.stringify(join(import.meta.dirname, '../../src/sqlite/database.ts'))};
      await Database.open({ directory: ${JSON.stringify(directory.path)} }).close(); console.log('opened');`;
    const output = await new Promise<string>((resolve, reject) =>
      execFile(process.execPath, ['--input-type=module', '-e', script], (error, stdout) =>
        error === null ? resolve(stdout) : reject(error),
      ),
    );
    expect(output).toBe('opened\n');
  });
});
