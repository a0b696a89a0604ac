import { parseArgs } from 'node:util';
import { proveDrRestore } from './dr-restore.ts';
import { proveJournal } from './journal.ts';
import { VICTIMS, type Victim } from './kill9/cluster.ts';
import { kill9 } from './kill9.ts';
import { measureOutage, OUTAGES } from './outage.ts';
import { proveQueries } from './queries.ts';
import { simulate } from './simulation.ts';
import { runSimulations } from './simulations.ts';

const USAGE = `usage: npm run prove -- simulation [--seeds 10000] [--from 1] [--trace]
       npm run prove -- kill9 [--store mongodb [--redis]] [--victim primary|replica|mongodb|redis|all | --failpoints]
                              [--rounds 100] [--seed N]
       npm run prove -- dr-restore [--server postgres|mariadb] [--rounds 100] [--seed N]
       npm run prove -- journal [--rounds 100] [--seed N]
       npm run prove -- queries [--count 100000] [--seed N]
       npm run prove -- outage

simulation  runs schedules of crashes, losses and damage in one process, each drawn from its seed;
            --trace prints every step of seed --from
kill9       kills real processes with SIGKILL while they are written to, at random moments or, with --failpoints,
            a primary on MongoDB after each step of a write
journal     kills gateways at random moments while they journal and replay writes to a MongoDB that goes and comes
dr-restore  kills a restore into PostgreSQL or MariaDB, or the server, at random moments, and goes on with it
queries     asks the embedded store and a MongoDB server (that of MONGODB_URL, else the stand-in) the same generated queries
outage      kills and suspends a MongoDB server under 50 readers, and measures what they see of it, in ms`;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '10000' },
    from: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '100' },
    count: { type: 'string', default: '100000' },
    seed: { type: 'string' },
    server: { type: 'string', default: 'postgres' },
    store: { type: 'string', default: 'sqlite' },
    redis: { type: 'boolean', default: false },
    victim: { type: 'string', default: 'all' },
    failpoints: { type: 'boolean', default: false },
  },
});

/** Exit code: 0 when nothing was found wrong. */
async function main(): Promise<number> {
  switch (positionals[0]) {
    case 'simulation':
      return values.trace ? await traced(Number(values.from)) : await simulations();
    case 'kill9':
      return await kills();
    case 'dr-restore':
      return await restores();
    case 'journal':
      return await journals();
    case 'queries':
      return await queries();
    case 'outage':
      return await outages();
    default:
      console.error(USAGE);
      return 2;
  }
}

async function simulations(): Promise<number> {
  const started = performance.now();
  const seeds = Number(values.seeds);
  const { failures, ...totals } = await runSimulations({
    ...{ from: Number(values.from), seeds },
    progress: (done) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${done}/${seeds}`);
    },
  });
  if (process.stderr.isTTY) process.stderr.write('\r');
  print({ ...totals, 'from seed': Number(values.from), seconds: secondsSince(started), failures: failures.length });
  for (const failure of failures) console.error(failure);
  return failures.length === 0 ? 0 : 1;
}

async function traced(seed: number): Promise<number> {
  const report = await simulate(seed, { lines: (lines) => console.log(lines.join('\n')) });
  print({ ...report });
  return 0;
}

async function kills(): Promise<number> {
  const started = performance.now();
  const { store, victim, redis, failpoints } = values;
  const isVictim = victim === 'all' || VICTIMS.some((name) => name === victim);
  if ((store !== 'sqlite' && store !== 'mongodb') || !isVictim || (failpoints && store !== 'mongodb')) {
    console.error(USAGE);
    return 2;
  }
  const seed = values.seed === undefined ? {} : { seed: Number(values.seed) };
  const { kills, ...report } = await kill9({
    ...{ rounds: Number(values.rounds), store, redis, victim: victim as Victim | 'all', failpoints },
    ...seed,
    progress: (line) => console.error(line),
  });
  print({ ...report, ...kills, seconds: secondsSince(started), failures: 0 });
  return 0;
}

async function restores(): Promise<number> {
  const started = performance.now();
  const { server } = values;
  if (server !== 'postgres' && server !== 'mariadb') {
    console.error(USAGE);
    return 2;
  }
  const seed = values.seed === undefined ? {} : { seed: Number(values.seed) };
  const progress = (line: string): void => console.error(line);
  const report = await proveDrRestore({ server, rounds: Number(values.rounds), ...seed, progress });
  print({ ...report, seconds: secondsSince(started), failures: 0 });
  return 0;
}

async function queries(): Promise<number> {
  const started = performance.now();
  const seed = values.seed === undefined ? {} : { seed: Number(values.seed) };
  const progress = (line: string): void => console.error(line);
  const { asServer, asFunctions, ...report } = await proveQueries({ count: Number(values.count), ...seed, progress });
  print({
    ...report,
    ...{ "as the server's": asServer, "as the functions'": asFunctions },
    ...{ seconds: secondsSince(started), differences: 0 },
  });
  return 0;
}

async function journals(): Promise<number> {
  const started = performance.now();
  const seed = values.seed === undefined ? {} : { seed: Number(values.seed) };
  const progress = (line: string): void => console.error(line);
  const report = await proveJournal({ rounds: Number(values.rounds), ...seed, progress });
  print({ ...report, seconds: secondsSince(started), failures: 0 });
  return 0;
}

async function outages(): Promise<number> {
  let failed = 0;
  for (const outage of OUTAGES) {
    const report = await measureOutage(outage);
    console.log(`${outage}:`);
    print(report as unknown as Readonly<Record<string, number>>);
    failed += report.failedReads;
  }
  return failed === 0 ? 0 : 1;
}

function secondsSince(started: number): number {
  return Math.round((performance.now() - started) / 1000);
}

function print(rows: Readonly<Record<string, number>>): void {
  const width = Math.max(...Object.keys(rows).map((name) => name.length));
  for (const [name, value] of Object.entries(rows)) {
    console.log(`${name.padEnd(width)}  ${value.toLocaleString('en').padStart(12)}`);
  }
}

// By `exit`, at which whatever was started is ended as well.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
try {
  process.exitCode = await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
