/** Runs one benchmark: `npm run bench -- NAME`. Each prints a table and writes `bench-results/NAME.json`. */
const BENCHMARKS: Readonly<Record<string, () => Promise<{ run(): Promise<void> }>>> = {
  dr: () => import('./dr.ts'),
  datasets: () => import('./datasets.ts'),
  fallback: () => import('./fallback.ts'),
  gateway: () => import('./gateway.ts'),
  replication: () => import('./replication.ts'),
  start: () => import('./start.ts'),
};

const name = process.argv[2] ?? '';
const load = BENCHMARKS[name];
if (load === undefined) {
  process.stderr.write(`usage: npm run bench -- ${Object.keys(BENCHMARKS).join('|')}\n`);
  process.exitCode = 2;
} else {
  // By `exit`, at which whatever was started is ended as well.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  await (await load()).run();
}
