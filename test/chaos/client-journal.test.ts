import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { MongoClient } from 'mongodb';
import { expect, it } from 'vitest';
import { DrillProxy } from '../../src/fallback/drill/proxy.ts';
import { eventually } from '../support/eventually.ts';
import { databaseName } from '../support/mongo-store.ts';
import { seededRandom } from '../support/random.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const ROUNDS = 8;
const COUNTERS = ['counter 0', 'counter 1', 'counter 2'];

/** What a service said of its writes, over all its lives. */
class Said {
  readonly tried = new Set<number>();
  readonly acknowledged = new Set<number>();
  readonly refused = new Set<number>();
  waiting = Number.POSITIVE_INFINITY;
  conflicts = 0;
  isReady = false;

  line(line: string): void {
    const [word, number, more] = line.split(' ');
    if (word === 'ready') this.isReady = true;
    if (word === 'try') this.tried.add(Number(number));
    if (word === 'ack') this.acknowledged.add(Number(number));
    if (word === 'no') this.refused.add(Number(number));
    if (word === 'waiting') {
      this.waiting = Number(number);
      this.conflicts = Number(more);
    }
  }
}

/** Starts the service anew; `kill` is SIGKILL, and resolves when it is gone. */
function start(url: string, directory: string, said: Said) {
  const file = join(import.meta.dirname, 'client', 'service.ts');
  const child = spawn(process.execPath, [file, url, directory, String(said.tried.size + 1_000)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  said.isReady = false;
  createInterface(child.stdout).on('line', (line) => said.line(line));
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await gone;
  };
  return { kill, pause: () => void child.stdin.write('pause\n'), [Symbol.asyncDispose]: kill };
}

describeWith('mongodb', 'A service with the library that is killed while it journals and replays', () => {
  it('has each write that it acknowledged in the database once, and none that it refused', async () => {
    await using server = await startMongo();
    await using proxy = await DrillProxy.start({ target: { host: '127.0.0.1', port: server.port } });
    await using directory = await temporaryDirectory();
    const random = seededRandom(7);
    const name = databaseName();
    const url = server.urlOf(name).replace(`:${server.port}`, `:${proxy.port}`);
    await using client = new MongoClient(server.urlOf(name));
    const things = client.db().collection<{ _id: string; n: number; seen: number[] }>('things');
    await things.insertMany(COUNTERS.map((_id) => ({ _id, n: 0, seen: [] })));
    const said = new Said();
    let service = start(url, directory.path, said);
    try {
      for (let round = 0; round < ROUNDS; round++) {
        await eventually('it is ready', () => said.isReady, 30_000);
        const before = said.acknowledged.size;
        await eventually('it writes', () => said.acknowledged.size > before + 5, 30_000);
        if (round % 2 === 0) proxy.set({ kind: 'REFUSE' });
        else {
          proxy.set();
          proxy.reset();
        }
        const during = said.acknowledged.size;
        await eventually('it goes on', () => said.acknowledged.size > during + 20 * random(), 30_000);
        await service.kill();
        service = start(url, directory.path, said);
      }
      proxy.set();
      proxy.reset();
      await eventually('it is ready', () => said.isReady, 30_000);
      service.pause();
      said.waiting = Number.POSITIVE_INFINITY;
      await eventually('nothing waits', () => said.waiting === 0, 60_000);
    } finally {
      await service.kill();
    }
    expect(said.conflicts).toBe(0);
    const found = await things.find({}).toArray();
    const effects = found.flatMap(({ seen }) => seen);
    expect(effects.length).toBe(new Set(effects).size);
    for (const { _id, n, seen } of found) expect([_id, n]).toEqual([_id, seen.length]);
    const inEffect = new Set(effects);
    expect([...said.acknowledged].filter((number) => !inEffect.has(number))).toEqual([]);
    expect([...said.refused].filter((number) => inEffect.has(number))).toEqual([]);
    expect(said.acknowledged.size).toBeGreaterThan(ROUNDS * 5);
  });
});
