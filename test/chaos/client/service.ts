import { MongoClient } from '../../../src/fallback/index.ts';

// A service with the library, as a process that can be killed: `service.ts URL DIRECTORY FIRST`. It writes without pause, and prints for each
// write `try N` before it and `ack N` or `no N` after it; `waiting N` says how many writes wait in its journal. Any input makes it write no more.
const [url = '', directory = '', first = '0'] = process.argv.slice(2);
const client = new MongoClient(url, { fallback: { changeLog: { directory }, writes: 'JOURNAL' } });
await client.connect();
const things = client.db().collection<{ _id: string; n: number; seen: number[] }>('things');
console.log('ready');

let next = Number(first);
let isPaused = false;
process.stdin.once('data', () => {
  isPaused = true;
});
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function write(counter: string): Promise<void> {
  while (!isPaused) {
    const number = next++;
    say(`try ${number}`);
    try {
      if (number % 3 === 0) await things.insertOne({ _id: `new ${number}`, n: 1, seen: [number] });
      else await things.updateOne({ _id: counter }, { $inc: { n: 1 }, $push: { seen: number } });
      say(`ack ${number}`);
    } catch (error) {
      const { code } = error as { code?: unknown };
      say(code === 'DATABASE_UNAVAILABLE' ? `no ${number}` : `lost ${number} ${code}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

for (const counter of ['counter 0', 'counter 1', 'counter 2']) void write(counter);
setInterval(async () => {
  const { live } = await client.fallbackStatus();
  say(`waiting ${live?.journal?.waiting} ${live?.journal?.conflicts}`);
}, 100);
