import { randomInt } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { DrillProxy } from '../../src/fallback/drill/proxy.ts';
import { eventually } from '../support/eventually.ts';
import { ask, post } from '../support/graphql.ts';
import { type Node, nodes } from '../support/nodes.ts';
import { seededRandom } from '../support/random.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { COUNTERS, Writers, type Written } from './journal/writers.ts';
import { LogCheck, type LogReader, mongoLog } from './kill9/log.ts';

export interface JournalProofOptions {
  /** Kills. */
  readonly rounds: number;
  readonly seed?: number;
  readonly progress?: (line: string) => void;
}

/** What a run came to. */
export interface JournalProofReport {
  readonly seed: number;
  readonly rounds: number;
  readonly outages: number;
  /** Acknowledged by the database: each found in its log once. */
  readonly committed: number;
  /** Acknowledged by a journal: each found in the log once, but those in conflict. */
  readonly journaled: number;
  /** Of those, kept for somebody to decide: each found in a journal, none in the log. */
  readonly conflicts: number;
  /** Refused: none found in the log. */
  readonly rejected: number;
  readonly entries: number;
  /** Kills by what the gateway was at. */
  readonly [killed: string]: number;
}

const SCHEMA = `
type Counter @entity @fallback(writes: JOURNAL) { id: ID! @id  n: Int! }
type Thing @entity @fallback(writes: JOURNAL) { id: ID! @id  name: String! @unique }
type Plain @entity { id: ID! @id  name: String! }
`;
/** Rounds between two judgements. */
const JUDGED_EVERY = 20;
const RECOVERY_MS = 60_000;

/** Steps of journal and replay, with the most passes to let by before the one that kills. */
const FAILPOINTS: Readonly<Record<string, number>> = {
  'journal.beforeAppend': 20,
  'journal.afterAppend': 20,
  'replay.beforeWrite': 10,
  'replay.afterWrite': 10,
  'replay.afterSettle': 10,
};
/** Share of the gateways that kill themselves at a step instead of being killed at a random moment. */
const FAILPOINT_SHARE = 0.4;
/** Longest wait for writes, or for a step to be reached. */
const REACH_MS = 3_000;

/**
 * Two gateways over one MongoDB behind a proxy that lets it be away at random, refusing or hanging; writers write all the time. In each
 * round a gateway is killed with SIGKILL, at a random moment or after a step of journal or replay. Judged against the change log in
 * the database. Throws with the seed when a write that was acknowledged is not in effect once, or one refused is.
 */
export async function proveJournal(options: JournalProofOptions): Promise<JournalProofReport> {
  const { rounds, progress } = options;
  const seed = options.seed ?? randomInt(2 ** 31);
  const random = seededRandom(seed);
  await using cluster = await startCluster();
  const { gateways, proxy } = cluster;
  const judge = new Judge(cluster);
  const writers = new Writers(gateways.map(({ url }) => url));
  const outage = new Outage(proxy, random);
  const kills: Record<string, number> = {};
  let round = 0;
  try {
    await judge.prepare();
    writers.start(seed);
    while (round < rounds) {
      const gateway = gateways[round % gateways.length] as Node;
      round += 1;
      const killed = await killOne(gateway, { writers, outage, random });
      kills[killed] = (kills[killed] ?? 0) + 1;
      gateway.start(random() < FAILPOINT_SHARE ? { HOLDFAST_FAILPOINT: drawFailpoint(random) } : {});
      if (round % JUDGED_EVERY !== 0 && round !== rounds) continue;
      outage.end();
      // Without a failpoint.
      for (const each of gateways) {
        await each.kill();
        each.start();
      }
      await Promise.all(gateways.map(({ ready }) => ready));
      await writers.pause();
      if (writers.unexpected.length > 0) {
        throw new Error(`unexpected answers: ${writers.unexpected.slice(0, 3).join('; ')}`);
      }
      await judge.judge(writers.take());
      writers.resume();
      progress?.(`${round}/${rounds} kills, ${outage.count} outages, ${JSON.stringify(judge.totals)}`);
    }
    return { seed, rounds, outages: outage.count, ...judge.totals, ...kills };
  } catch (error) {
    const output = gateways.map((node) => `${node.data}: ${node.output().slice(-1_500)}`);
    throw new Error(`seed ${seed}, round ${round}: ${(error as Error).message}\n${output.join('\n')}`, {
      cause: error,
    });
  } finally {
    await writers.stop();
  }
}

function drawFailpoint(random: () => number): string {
  const [name, passes] = Object.entries(FAILPOINTS)[Math.floor(random() * Object.keys(FAILPOINTS).length)] as [
    string,
    number,
  ];
  return `${name}:${1 + Math.floor(random() * passes)}`;
}

/** Ends a gateway by SIGKILL, while writes go on and the database comes or goes. What it was at, as far as is known. */
async function killOne(
  gateway: Node,
  { writers, outage, random }: { writers: Writers; outage: Outage; random: () => number },
): Promise<string> {
  const { exited, url } = gateway;
  const ended = async (ms: number): Promise<boolean> => (await Promise.race([exited, pause(ms)])) !== undefined;
  // The next kill may come while it is still starting.
  if (random() < 0.9) await Promise.race([gateway.ready.catch(() => undefined), exited]);
  if (random() < 0.6) outage.toggle();
  const enough = writers.acknowledgedBy(url) + Math.ceil(random() * 10);
  const until = performance.now() + REACH_MS;
  while (writers.acknowledgedBy(url) < enough && performance.now() < until) if (await ended(5)) return 'at a step';
  if (random() < 0.5) outage.toggle();
  if (await ended(random() * 400)) return 'at a step';
  const during = outage.isAway ? 'while it journals' : 'while it replays or writes';
  await gateway.kill();
  return during;
}

/** Lets the database be away and there again. */
class Outage {
  /** Outages so far. */
  count = 0;
  isAway = false;
  readonly #proxy: DrillProxy;
  readonly #random: () => number;

  constructor(proxy: DrillProxy, random: () => number) {
    this.#proxy = proxy;
    this.#random = random;
  }

  toggle(): void {
    if (this.isAway) {
      this.end();
      return;
    }
    this.isAway = true;
    this.count += 1;
    this.#proxy.set(this.#random() < 0.7 ? { kind: 'REFUSE' } : { kind: 'HANG_BEFORE', monitoring: true });
  }

  end(): void {
    if (!this.isAway) return;
    this.isAway = false;
    this.#proxy.set();
    // What hangs stays so until its connection ends.
    this.#proxy.reset();
  }
}

interface Cluster extends AsyncDisposable {
  readonly gateways: readonly Node[];
  readonly proxy: DrillProxy;
  /** Of the database, past the proxy. */
  readonly url: string;
  readonly log: LogReader;
}

async function startCluster(): Promise<Cluster> {
  await using parts = new AsyncDisposableStack();
  const server = parts.use(await startMongo());
  const proxy = parts.use(await DrillProxy.start({ target: { host: '127.0.0.1', port: server.port } }));
  const url = server.urlOf('journal');
  const environment = { HOLDFAST_STORE_URL: url.replace(`:${server.port}`, `:${proxy.port}`) };
  const started = parts.use(await nodes(SCHEMA));
  const gateways = [await started.primary('one', environment), await started.primary('two', environment)];
  await Promise.all(gateways.map(({ ready }) => ready));
  const log = parts.use(mongoLog(url));
  const owned = parts.move();
  return { gateways, proxy, url, log, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

interface Entry {
  readonly id: string;
  readonly document: string;
  readonly collection: string;
}

/** Compares what was answered with what is in the database. */
class Judge {
  readonly totals = { committed: 0, journaled: 0, conflicts: 0, rejected: 0, entries: 0 };
  readonly #cluster: Cluster;
  readonly #check: LogCheck;
  /** Keys in the log. */
  readonly #keys = new Set<string>();
  readonly #increments = new Map<string, number>();
  readonly #refused: string[] = [];
  #read = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#check = new LogCheck({ ...cluster.log, read: (sequence) => cluster.log.read(sequence) });
  }

  /** Creates the counters, and waits until both gateways have their copy. */
  async prepare(): Promise<void> {
    const inputs = Array.from({ length: COUNTERS }, (_, i) => ({ id: `counter-${i}`, n: 0 }));
    const query = 'mutation($inputs:[CreateCounterInput!]!){createCounters(inputs:$inputs){written}}';
    await ask(this.#cluster.gateways[0]?.url as string, query, { inputs });
    for (const { url, opsUrl } of this.#cluster.gateways) {
      await eventually('the copy is there', async () => {
        const status = '{fallbackStatus{tiers{collections{coverage}}}}';
        const answer = await post(opsUrl, status);
        return (
          !JSON.stringify(answer).includes('NONE') && JSON.stringify(await post(url, '{countersCount}')).includes('6')
        );
      });
    }
  }

  async judge(written: readonly Written[]): Promise<void> {
    for (const gateway of this.#cluster.gateways) await this.#drained(gateway);
    await this.#check.readOn();
    for (const { key } of await this.#cluster.log.read(this.#read)) if (key !== null) this.#keys.add(key);
    this.#read = this.#check.entries;
    const parked = await this.#parked();
    for (const { fate, keys, counter } of written) {
      if (fate === 'REJECTED') {
        this.totals.rejected += 1;
        this.#refused.push(...keys);
        continue;
      }
      const missing = keys.filter((key) => !this.#keys.has(key) && !parked.has(key));
      if (missing.length > 0) throw new Error(`${fate}, and not in effect: ${JSON.stringify({ keys, counter })}`);
      const isParked = keys.some((key) => parked.has(key));
      this.totals[fate === 'COMMITTED' ? 'committed' : 'journaled'] += 1;
      if (isParked && fate === 'COMMITTED') throw new Error(`committed, and in conflict: ${keys}`);
      if (isParked) this.totals.conflicts += 1;
      if (counter !== undefined && !isParked) {
        this.#increments.set(counter, (this.#increments.get(counter) ?? 0) + 1);
      }
    }
    const wrong = this.#refused.filter((key) => this.#keys.has(key));
    if (wrong.length > 0)
      throw new Error(`${wrong.length} writes were refused, and are in effect: ${wrong.slice(0, 3)}`);
    await this.#compareCounters();
    this.totals.entries = this.#check.entries;
  }

  /** Waits until nothing waits in the journal of a gateway. */
  async #drained({ opsUrl, data }: Node): Promise<void> {
    let last: unknown;
    await eventually(
      `the journal of ${data} is replayed`,
      async () => {
        const answer = await post(opsUrl, '{journal{waiting conflicts held} status{degraded problems}}').catch(
          () => null,
        );
        last = answer;
        return (answer?.data?.journal as { waiting: number } | undefined)?.waiting === 0;
      },
      RECOVERY_MS,
    ).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(last)}`);
    });
  }

  /** Keys of the entries in conflict, of both gateways. */
  async #parked(): Promise<ReadonlySet<string>> {
    const parked = new Set<string>();
    for (const { opsUrl } of this.#cluster.gateways) {
      for (let after: string | null = null; ; ) {
        const query =
          'query($after:ID){journal{entries(state:CONFLICT,first:500,after:$after){id key reason{code message}}}}';
        const { journal }: { journal: { entries: (Entry & { key: string })[] } } = await ask(opsUrl, query, { after });
        for (const { key } of journal.entries) parked.add(key);
        after = journal.entries.at(-1)?.id ?? null;
        if (after === null) break;
      }
    }
    const both = [...parked].filter((key) => this.#keys.has(key));
    if (both.length > 0) throw new Error(`in conflict, and in effect: ${both.slice(0, 3)}`);
    return parked;
  }

  async #compareCounters(): Promise<void> {
    await using client = new MongoClient(this.#cluster.url);
    const found = await client.db().collection<{ _id: string; n: number }>('counters').find({}).toArray();
    for (const { _id, n } of found) {
      const expected = this.#increments.get(_id) ?? 0;
      if (n !== expected) throw new Error(`${_id} is ${n}, not ${expected}`);
    }
  }
}
