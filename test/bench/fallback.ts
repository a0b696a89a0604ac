import { MongoClient } from 'mongodb';
import { type MongoServer, startMongo } from '../support/servers/mongo.ts';
import { type Contender, DOCUMENTS, openContenders } from './fallback/contenders.ts';
import { costPerCall } from './fallback/cost.ts';
import { type JournalSpeed, journalSpeed } from './fallback/journal.ts';
import { type Suffered, sufferOutage } from './fallback/outage.ts';
import { machine, saveFigures, table } from './table.ts';

const OUTAGES = ['kill', 'suspend'] as const;
const WRITERS = [1, 16, 256];

/**
 * What the fallback costs, and what it is worth: the client of `holdfast/fallback` beside the driver alone and the driver within
 * opossum and cockatiel, in one process on one database. The peers' fallback is a look into a map, written for the one query that is
 * asked; Holdfast's answers any query from documents, in the driver's types. CPU time of this process, in which they take turns; each
 * suffers outages of its own.
 */
export async function run(): Promise<void> {
  await using server = await startMongo();
  const contenders = await filled(server);
  try {
    const closed = await costPerCall(contenders);
    const open = await costWhileOpen(contenders);
    const outages: Record<string, Suffered[]> = {};
    for (const kind of OUTAGES) {
      const rows: Suffered[] = [];
      for (const contender of contenders) rows.push(await sufferOutage(contender, server, kind));
      outages[kind] = rows;
    }
    const journal: JournalSpeed[] = [];
    for (const atOnce of WRITERS) journal.push(await journalSpeed(atOnce));
    const figures = { closed: Object.fromEntries(closed), open: Object.fromEntries(open), outages, journal };
    report(closed, open, outages, journal, await saveFigures('fallback', figures));
  } finally {
    for (const contender of contenders) await contender.close();
  }
}

async function filled(server: MongoServer): Promise<readonly Contender[]> {
  const url = server.urlOf('bench');
  await using client = new MongoClient(url);
  await client
    .db()
    .collection('things')
    .insertMany(structuredClone(DOCUMENTS) as { _id: never }[]);
  return openContenders(url);
}

async function costWhileOpen(contenders: readonly Contender[]): Promise<Map<string, number>> {
  const able = contenders.filter(({ forceOpen }) => forceOpen !== undefined);
  const release = await Promise.all(able.map(({ forceOpen }) => forceOpen?.()));
  try {
    return await costPerCall(able);
  } finally {
    for (const each of release) await each?.();
  }
}

function report(
  closed: ReadonlyMap<string, number>,
  open: ReadonlyMap<string, number>,
  outages: Readonly<Record<string, readonly Suffered[]>>,
  journal: readonly JournalSpeed[],
  path: string,
): void {
  const driver = closed.get('driver') ?? Number.NaN;
  const micros = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(1));
  const costs = [
    ['CPU µs per findOne', 'closed', 'added', 'closed ÷ driver', 'open'],
    ...[...closed].map(([name, value]) => [
      ...[name, micros(value), micros(value - driver), `${(value / driver).toFixed(2)}×`, micros(open.get(name))],
    ]),
  ];
  const head = [
    'outage, ms',
    'reads',
    'failed',
    'noticed',
    'worst read',
    'waited ≥ 50 ms',
    'of these later',
    'p99 later',
    'back',
  ];
  const suffered = Object.entries(outages).flatMap(([kind, rows]) =>
    rows.map((row) => [
      ...[`${kind}: ${row.name}`, row.reads, row.failed, row.noticedMs.toFixed(0), row.worstMs.toFixed(0)],
      ...[row.waited, row.waitedLater, row.p99LaterMs.toFixed(1), row.backMs.toFixed(0)],
    ]),
  );
  const appended = journal.map(({ atOnce, journal: entries, syncedLines }) => [
    ...[atOnce, entries.toFixed(0), syncedLines.toFixed(0), `${(entries / syncedLines).toFixed(1)}×`],
  ]);
  const parts = [
    machine(),
    table(costs),
    table([head, ...suffered]),
    table([['writers at once', 'journal entries/s', 'lines written and synced one by one/s', 'ratio'], ...appended]),
    `figures in ${path}`,
  ];
  process.stdout.write(`${parts.join('\n\n')}\n`);
}
