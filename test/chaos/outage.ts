import { eventually } from '../support/eventually.ts';
import { openBench, quantile, Standstill, startReaders } from '../support/fallback-bench.ts';
import { startMongo } from '../support/servers/mongo.ts';

export interface OutageOptions {
  /** Reads at once. Default 50. */
  readonly readers?: number | undefined;
  /** How long the copy is measured for, in ms. Default 5,000. */
  readonly openMs?: number | undefined;
}

/** What an outage cost, in ms. */
export interface OutageReport {
  /** From the fault until no call went to the database any more. */
  readonly openAfter: number;
  readonly worstRead: number;
  readonly failedReads: number;
  /** Reads while it was open, and what of that the fallback added to the copy's own answer. */
  readonly readP50: number;
  readonly readP99: number;
  readonly addedP50: number;
  readonly addedP99: number;
  /** From the end of the fault until a read came from the database. */
  readonly backAfter: number;
  /** Longest that this process stood still for other reasons. */
  readonly stoodStill: number;
}

export const OUTAGES = ['killed', 'suspended'] as const;
export type Outage = (typeof OUTAGES)[number];

/**
 * Measures an outage of a MongoDB server under readers without pause, as `src/fallback` sees it. A server that is not ours to stop is
 * cut off by the proxy before it.
 */
export async function measureOutage(
  outage: Outage,
  { readers: count = 50, openMs = 5_000 }: OutageOptions = {},
): Promise<OutageReport> {
  await using server = await startMongo();
  await using bench = await openBench(server);
  const begin = { killed: () => server.kill(), suspended: () => server.suspend() };
  const end = { killed: () => server.restart(), suspended: () => server.resume() };
  const cut = { killed: { kind: 'REFUSE' }, suspended: { kind: 'HANG_BEFORE', monitoring: true } } as const;
  const readers = startReaders(bench, count);
  const { reads } = readers;
  await eventually('the database answers', () => reads.length > 20 * count);
  using standstill = new Standstill();
  const before = reads.length;
  const since = performance.now();
  if (server.killable) await begin[outage]();
  else bench.proxy.set(cut[outage]);
  await eventually('everything is kept from it', () => bench.state === 'OPEN');
  const openAfter = performance.now() - since;
  const seen = reads.length;
  await eventually('all that waited have their answer', () => reads.length > seen + 2 * count);
  const stoodStill = standstill.ms;
  const settled = reads.length;
  const until = performance.now() + openMs;
  await eventually('it was open for long enough', () => performance.now() > until, 2 * openMs);
  const open = reads.slice(settled);
  if (open.some(({ source }) => source !== 'LIVE')) throw new Error('the database answered while it was away');
  if (server.killable) await end[outage]();
  else bench.proxy.set();
  const ended = performance.now();
  await eventually(
    'it is back',
    () => reads.some(({ source, endedMs }) => source === 'DATABASE' && endedMs > ended),
    20_000,
  );
  const backAfter = performance.now() - ended;
  await readers.stop();
  const worstRead = Math.max(...reads.slice(before, settled).map(({ ms }) => ms));
  const times = open.map(({ ms }) => ms);
  const added = open.map(({ ms, copyMs }) => ms - copyMs);
  const incidents = bench.fallback.status([]).incidents;
  return {
    ...{ openAfter, worstRead, failedReads: incidents.reduce((sum, { readsRefused }) => sum + readsRefused, 0) },
    ...{ readP50: quantile(times, 0.5), readP99: quantile(times, 0.99) },
    ...{ addedP50: quantile(added, 0.5), addedP99: quantile(added, 0.99) },
    ...{ backAfter, stoodStill },
  };
}
