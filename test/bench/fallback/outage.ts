import { eventually } from '../../support/eventually.ts';
import type { MongoServer } from '../../support/servers/mongo.ts';
import { percentile } from '../table.ts';
import { type Contender, DOCUMENTS } from './contenders.ts';

const READERS = 10;
const PAUSE_MS = 10;
/** How long the outage lasts once everybody has noticed. */
const AWAY_MS = 3_000;

interface Read {
  readonly startedMs: number;
  readonly endedMs: number;
  readonly isLive: boolean;
  readonly failed: boolean;
}

/** What an outage was like for the readers of one contender; times in ms. */
export interface Suffered {
  readonly name: string;
  readonly reads: number;
  readonly failed: number;
  readonly worstMs: number;
  /** From the start of the outage to the end of the last read that waited for the database (50 ms or more). */
  readonly noticedMs: number;
  /** Reads that waited so long, and those that did so after the first second. */
  readonly waited: number;
  readonly waitedLater: number;
  readonly p99LaterMs: number;
  /** From the return of the server to the first answer of the database. */
  readonly backMs: number;
}

/** One outage under the readers of one contender. */
export async function sufferOutage(
  contender: Contender,
  server: MongoServer,
  kind: 'kill' | 'suspend',
): Promise<Suffered> {
  let going = true;
  const log: Read[] = [];
  const readers = Array.from({ length: READERS }, async (_, reader) => {
    for (let id = reader; going; id = (id + READERS) % DOCUMENTS.length) {
      log.push(await timed(contender, id));
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  });
  const isLive = ({ isLive, failed }: Read): boolean => isLive && !failed;
  // A server that has just started is slow for a while.
  await eventually('it reads from the database', () => log.length > 200 && log.slice(-100).every(isLive), 30_000);
  const away = performance.now();
  await (kind === 'kill' ? server.kill() : server.suspend());
  await new Promise((resolve) => setTimeout(resolve, AWAY_MS));
  await (kind === 'kill' ? server.restart() : server.resume());
  const back = performance.now();
  await eventually('it is back', () => log.some((read) => read.startedMs > back && isLive(read)), 40_000);
  going = false;
  await Promise.all(readers);
  return sufferedBy(contender.name, log, away, back);
}

async function timed({ read }: Contender, id: number): Promise<Read> {
  const startedMs = performance.now();
  try {
    const { isLive } = await read(id);
    return { startedMs, endedMs: performance.now(), isLive, failed: false };
  } catch {
    return { startedMs, endedMs: performance.now(), isLive: false, failed: true };
  }
}

function sufferedBy(name: string, log: readonly Read[], away: number, back: number): Suffered {
  const during = log.filter(({ startedMs, endedMs }) => endedMs > away && startedMs < back);
  const waited = during.filter(({ startedMs, endedMs }) => endedMs - startedMs >= 50);
  const later = during.filter(({ startedMs }) => startedMs > away + 1_000);
  const waits = (reads: readonly Read[]): number[] => reads.map(({ startedMs, endedMs }) => endedMs - startedMs);
  const first = log.filter(({ startedMs, isLive }) => startedMs > back && isLive).map(({ endedMs }) => endedMs - back);
  return {
    name,
    reads: during.length,
    failed: during.filter(({ failed }) => failed).length,
    worstMs: Math.max(...waits(during)),
    noticedMs: Math.max(
      0,
      ...waited.filter(({ startedMs }) => startedMs < away + 1_000).map(({ endedMs }) => endedMs - away),
    ),
    waited: waited.length,
    waitedLater: waited.filter(({ startedMs }) => startedMs > away + 1_000).length,
    p99LaterMs: percentile(waits(later), 0.99),
    backMs: Math.min(...first),
  };
}
