import { writeSync } from 'node:fs';
import { Database } from '../../src/sqlite/database.ts';

/**
 * Writes pairs of numbers for ever, several pieces of work at once, and prints each number when it was acknowledged. Kills itself
 * with SIGKILL after so many acknowledged pairs (0: never), while others are on their way.
 */
const [directory = '', kill = '0'] = process.argv.slice(2);
const database = Database.open({ directory });
await database.transaction((transaction) => transaction.exec('CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY)'));
const last = database.reader.prepare('SELECT max(n) AS n FROM t').get()?.n as number | null;
let next = last === null ? 0 : last + 1;
let pairs = 0;

async function write(): Promise<void> {
  for (;;) {
    const n = next;
    next += 2;
    await database.transaction((transaction) => {
      for (const value of [n, n + 1]) transaction.prepare('INSERT INTO t (n) VALUES (?)').run(value);
      // Killed inside a transaction, with a pair half written.
      if (pairs >= Number(kill)) process.kill(process.pid, 'SIGKILL');
    });
    writeSync(1, `${n}\n${n + 1}\n`);
    pairs += 1;
  }
}

if (kill === '0') {
  writeSync(1, 'open\n');
  setInterval(() => {}, 1_000);
} else {
  await Promise.all(Array.from({ length: 5 }, write));
}
