import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { eventually } from '../support/eventually.ts';
import { ask } from '../support/graphql.ts';
import { type HoldfastProcess, startHoldfast } from '../support/holdfast.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { startRedis } from '../support/servers/redis.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { CREATE, createRequests, OVERLOADED_MS, readings, sendAll } from './replication-load.ts';
import { cpuMicros, machine, percentile, residentBytes, saveFigures, table } from './table.ts';

const SCHEMA = `type Reading @entity {
  id: ID! @id
  name: String! @unique
  station: String! @index
  sample: Boolean
  value: Float!
  note: String
}
`;
const { values: flags, positionals } = parseArgs({
  args: process.argv.slice(3),
  options: { store: { type: 'string', default: 'sqlite' }, redis: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const ON_MONGODB = flags.store === 'mongodb';
const BATCH = ON_MONGODB ? 100 : 500;
const THROUGHPUT_CHANGES = ON_MONGODB ? 5_000 : 200_000;
const LAG_SECONDS = 8;
const BOOTSTRAP_DOCUMENTS = Number(process.env.BOOTSTRAP_DOCUMENTS ?? 1_000_000);
const IDLE_REPLICAS = 1_000;
/** Without a log line for each request, as a busy server is run. */
const PRODUCTION = {
  ...{ NODE_ENV: 'production', HOLDFAST_TELEMETRY_LEVEL: 'warn' },
  // A stand-in for MongoDB takes its time over a hundred documents; what is measured is what goes through.
  HOLDFAST_FALLBACK_DEADLINE_MS_WRITE: '10000',
};

interface Cluster extends AsyncDisposable {
  readonly directory: string;
  /** Process ids by what they are, replicas not among them. */
  readonly servers: ReadonlyMap<string, number>;
  readonly primary: HoldfastProcess;
  readonly url: string;
  /** Starts a replica, or the one of this number again, and waits until it serves. */
  addReplica(
    number?: number,
  ): Promise<{ readonly process: HoldfastProcess; readonly url: string; readonly opsUrl: string }>;
}

/**
 * Replication from HTTP mutation to the replica's durable commit: changes per second, lag at fixed rates, bootstrap under
 * writes, and what idle replicas cost. All processes share this machine, the load generator included.
 * usage: npm run bench -- replication [throughput] [catch-up] [lag] [bootstrap] [idle] [--store mongodb] [--redis]
 */
export async function run(): Promise<void> {
  const wanted = (part: string): boolean => positionals.length === 0 || positionals.includes(part);
  const figures: Record<string, unknown> = {};
  const rows: (string | number)[][] = [['measure', 'figure', 'aim']];
  if (wanted('throughput')) {
    const { perSecond, micros } = await throughput();
    figures.changesPerSecond = perSecond;
    figures.cpuMicrosPerChange = Object.fromEntries(micros);
    rows.push(['changes/s, HTTP to replica commit', Math.round(perSecond), ON_MONGODB ? '' : '≥ 20,000']);
    for (const [name, each] of micros) rows.push([`CPU µs per change of that: ${name}`, each.toFixed(1), '']);
  }
  if (wanted('catch-up')) {
    const { perSecond, primaryMicros, replicaMicros } = await catchUp();
    Object.assign(figures, { catchUpPerSecond: perSecond, catchUpCpuMicros: { primaryMicros, replicaMicros } });
    rows.push(['changes/s, log of the primary to replica commit', Math.round(perSecond), '≥ 20,000']);
    rows.push([
      'CPU µs per change of that: primary / replica',
      `${primaryMicros.toFixed(1)} / ${replicaMicros.toFixed(1)}`,
      '',
    ]);
  }
  if (wanted('lag')) {
    for (const replicas of [1, 4]) {
      for (const rate of [500, 2_000, 10_000]) {
        const { p50, p99 } = await lag(rate, replicas);
        figures[`lagMs_${rate}_${replicas}`] = { p50, p99 };
        rows.push([
          `lag at ${rate}/s, ${replicas} replica${replicas > 1 ? 's' : ''}: p50 / p99 ms`,
          `${p50} / ${p99}`,
          rate === 2_000 ? 'p99 ≤ 50' : '',
        ]);
      }
    }
  }
  if (wanted('bootstrap')) {
    const { seconds, writes } = await bootstrap();
    figures.bootstrap = { documents: BOOTSTRAP_DOCUMENTS, seconds, writesMeanwhile: writes };
    rows.push([
      `bootstrap of ${BOOTSTRAP_DOCUMENTS} documents, ${writes} writes meanwhile: s`,
      seconds.toFixed(1),
      '≤ 60',
    ]);
  }
  if (wanted('idle')) {
    const idle = await idleReplicas();
    figures.idleReplicas = { count: IDLE_REPLICAS, ...idle };
    rows.push([`${IDLE_REPLICAS} idle replicas: KiB each on the primary`, (idle.bytesEach / 1024).toFixed(1), '']);
    rows.push([`${IDLE_REPLICAS} idle replicas: CPU of the primary`, `${(idle.cpuShare * 100).toFixed(1)} %`, '']);
  }
  const name = ['replication', ...(ON_MONGODB ? ['mongodb'] : []), ...(flags.redis ? ['redis'] : [])].join('-');
  process.stdout.write(`${machine()}\n\n${table(rows)}\n\nfigures in ${await saveFigures(name, figures)}\n`);
}

async function throughput(): Promise<{ perSecond: number; micros: Map<string, number> }> {
  await using cluster = await startCluster();
  const replica = await cluster.addReplica();
  await send(cluster.url, 'warm-up', ON_MONGODB ? 2 * BATCH : 20 * BATCH);
  await caughtUp(cluster.url, replica.opsUrl);
  const pids = new Map([...cluster.servers, ['replica', replica.process.pid], ['load generator', process.pid]]);
  // Encoded before the clock starts: that is not what is measured.
  const requests = [...createRequests('measured', THROUGHPUT_CHANGES, BATCH)];
  const before = await eachMicros(pids);
  const started = performance.now();
  await sendAll(cluster.url, requests);
  await caughtUp(cluster.url, replica.opsUrl);
  const perSecond = (THROUGHPUT_CHANGES / (performance.now() - started)) * 1_000;
  const after = await eachMicros(pids);
  const micros = [...after].map(
    ([name, each]) => [name, (each - (before.get(name) ?? 0)) / THROUGHPUT_CHANGES] as const,
  );
  return { perSecond, micros: new Map(micros) };
}

/** CPU µs of each process so far. */
async function eachMicros(pids: ReadonlyMap<string, number>): Promise<Map<string, number>> {
  return new Map(await Promise.all(Array.from(pids, async ([name, pid]) => [name, await cpuMicros(pid)] as const)));
}

/** A replica that was away takes in what was written meanwhile; nobody writes then. */
async function catchUp(): Promise<{ perSecond: number; primaryMicros: number; replicaMicros: number }> {
  await using cluster = await startCluster();
  const first = await cluster.addReplica();
  await send(cluster.url, 'before', 2 * BATCH);
  await caughtUp(cluster.url, first.opsUrl);
  await first.process.stop();
  await send(cluster.url, 'away', THROUGHPUT_CHANGES);
  const replica = await cluster.addReplica(0);
  const begun = await appliedBy(replica.opsUrl);
  const started = performance.now();
  const pids = [cluster.primary.pid, replica.process.pid];
  const before = await Promise.all(pids.map(cpuMicros));
  await caughtUp(cluster.url, replica.opsUrl);
  const changes = (await appliedBy(replica.opsUrl)) - begun;
  const perSecond = (changes / (performance.now() - started)) * 1_000;
  const [primaryMicros = 0, replicaMicros = 0] = (await Promise.all(pids.map(cpuMicros))).map(
    (micros, i) => (micros - (before[i] ?? 0)) / changes,
  );
  return { perSecond, primaryMicros, replicaMicros };
}

async function lag(rate: number, replicas: number): Promise<{ p50: number; p99: number }> {
  await using cluster = await startCluster();
  const followers: Awaited<ReturnType<typeof cluster.addReplica>>[] = [];
  for (let i = 0; i < replicas; i++) followers.push(await cluster.addReplica());
  // Servers that have just started compile their code in the first seconds: that is not what is measured.
  await send(cluster.url, 'warm-up', 10 * BATCH);
  for (const { opsUrl } of followers) await caughtUp(cluster.url, opsUrl);
  const lags: number[] = [];
  const clients = followers.map(({ url }) => watch(url, (at) => lags.push(Date.now() - at)));
  await Promise.all(clients.map(({ subscribed }) => subscribed));
  const everyMs = 50;
  const perTick = Math.max(1, Math.round((rate * everyMs) / 1_000));
  const inFlight: Promise<unknown>[] = [];
  const started = performance.now();
  let expected = 0;
  for (let tick = 0; tick * everyMs < LAG_SECONDS * 1_000; tick++) {
    const due = started + tick * everyMs;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
    const inputs = readings(`lag-${tick}`, 0, perTick);
    expected += inputs.filter((input) => input.sample === true).length * replicas;
    inFlight.push(ask(cluster.url, CREATE, { inputs }, {}, OVERLOADED_MS));
  }
  await Promise.all(inFlight);
  await eventually('every sample arrived', () => lags.length >= expected, OVERLOADED_MS);
  for (const client of clients) client.close();
  return { p50: percentile(lags, 0.5), p99: percentile(lags, 0.99) };
}

/** Calls `seen` with the time of each sampled change as the replica delivers it, after its commit. */
function watch(url: string, seen: (at: number) => void): { readonly subscribed: Promise<void>; close(): void } {
  const client = createClient({ url: url.replace('http', 'ws'), webSocketImpl: WebSocket });
  const subscribed = new Promise<void>((resolve) => client.on('connected', () => setTimeout(resolve, 200)));
  client.subscribe<{ readingChanged: { at: string } }>(
    { query: 'subscription { readingChanged(where: { sample: { eq: true } }) { at } }' },
    {
      next: ({ data }) => seen(Date.parse(data?.readingChanged.at ?? '')),
      error: () => undefined,
      complete: () => undefined,
    },
  );
  return { subscribed, close: () => void client.dispose() };
}

async function bootstrap(): Promise<{ seconds: number; writes: number }> {
  await using cluster = await startCluster();
  await send(cluster.url, 'first', BOOTSTRAP_DOCUMENTS);
  const stop = new AbortController();
  let writes = 0;
  const writing = (async () => {
    for (let i = 0; !stop.signal.aborted; i++) {
      await Promise.all([
        ask(cluster.url, CREATE, { inputs: readings(`while-${i}`, 0, 100) }),
        new Promise((resolve) => setTimeout(resolve, 50)),
      ]);
      writes += 100;
    }
  })();
  const started = performance.now();
  await cluster.addReplica();
  const seconds = (performance.now() - started) / 1_000;
  stop.abort();
  await writing;
  return { seconds, writes };
}

async function idleReplicas(): Promise<{ bytesEach: number; cpuShare: number }> {
  await using cluster = await startCluster();
  await send(cluster.url, 'some', 10 * BATCH);
  const hello = await ask<{ syncHello: { cursor: string } }>(cluster.url, '{ syncHello { cursor } }');
  const before = await residentBytes(cluster.primary.pid);
  let frames = 0;
  const clients = Array.from({ length: IDLE_REPLICAS }, () => {
    const client = createClient({ url: cluster.url.replace('http', 'ws'), webSocketImpl: WebSocket });
    client.subscribe(
      {
        query:
          'subscription($cursor: String!) { syncChanges(cursor: $cursor) { epoch from to head floor previous chain cursor checksum body } }',
        variables: { cursor: hello.syncHello.cursor },
      },
      { next: () => frames++, error: () => undefined, complete: () => undefined },
    );
    return client;
  });
  await eventually('every replica is connected', () => frames >= IDLE_REPLICAS * 3, 60_000);
  const cpuBefore = await cpuMicros(cluster.primary.pid);
  const started = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  const cpuShare = ((await cpuMicros(cluster.primary.pid)) - cpuBefore) / ((performance.now() - started) * 1_000);
  const bytesEach = ((await residentBytes(cluster.primary.pid)) - before) / IDLE_REPLICAS;
  for (const client of clients) void client.dispose();
  return { bytesEach, cpuShare };
}

async function startCluster(): Promise<Cluster> {
  const directory = await temporaryDirectory();
  const schema = join(directory.path, 'schema');
  await mkdir(schema);
  await writeFile(join(schema, 'reading.graphql'), SCHEMA);
  await using parts = new AsyncDisposableStack();
  const servers = new Map<string, number>();
  const options: string[] = [];
  if (ON_MONGODB) {
    const mongo = parts.use(await startMongo({ fsync: true }));
    if (mongo.pid > 0) servers.set('MongoDB', mongo.pid);
    options.push('--store', mongo.urlOf('bench'));
  }
  if (flags.redis) {
    const redis = parts.use(await startRedis());
    servers.set('Redis', redis.pid);
    options.push('--redis', redis.url);
  }
  const data = join(directory.path, 'primary');
  const primary = startHoldfast(
    ['start', '--schema', schema, '--port', '0', '--ops-port', '0', '--data', data, ...options],
    PRODUCTION,
  );
  const { url } = await primary.ready;
  servers.set('primary', primary.pid);
  const owned = parts.move();
  const replicas: HoldfastProcess[] = [];
  return {
    directory: directory.path,
    ...{ servers, primary, url },
    addReplica: async (number = replicas.length) => {
      const data = join(directory.path, `replica-${number}`);
      const replica = startHoldfast(
        ['replica', '--primary', url.replace('http', 'ws'), '--port', '0', '--ops-port', '0', '--data', data],
        PRODUCTION,
      );
      replicas.push(replica);
      return { process: replica, ...(await replica.ready) };
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...replicas, primary].map((each) => each.kill()));
      await owned.disposeAsync();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Creates `count` documents, 500 a request, four requests at a time. */
async function send(url: string, name: string, count: number): Promise<void> {
  await sendAll(url, createRequests(name, count, BATCH));
}

/** Waits until the replica holds, durably, what the primary holds now. */
async function caughtUp(url: string, opsUrl: string): Promise<void> {
  const { syncHello } = await ask<{ syncHello: { head: number } }>(url, '{ syncHello { head } }');
  const isThere = async () => (await appliedBy(opsUrl)) >= syncHello.head;
  await eventually(`the replica holds ${syncHello.head}`, isThere, 120_000);
}

/** Sequence of the last change that the replica holds durably. */
async function appliedBy(opsUrl: string): Promise<number> {
  const query = '{ status { following { applied } } }';
  const { status } = await ask<{ status: { following: { applied: number } } }>(new URL('/graphql', opsUrl).href, query);
  return status.following.applied;
}
