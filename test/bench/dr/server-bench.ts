import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Contender, runOnce } from './measure.ts';
import { type BenchOptions, type Comparison, holdfast, runSuite, type Suite, sizeOf } from './suite.ts';

export type Goal = Comparison['goal'];
export type Contest = Omit<Suite, 'title'>;
export type Result = Awaited<ReturnType<typeof runSuite>>;

/** One kind of server with the tools that we are measured beside. */
export interface Peers {
  /** `PostgreSQL`. */
  readonly name: string;
  readonly server: {
    readonly pid: number;
    urlOf(database: string): string;
    createDatabase(name: string): Promise<string>;
  };
  /** Statements that fill an empty database with about so many bytes. */
  readonly tenants: (bytes: number) => string[];
  /** Statements for so many tables of about so many bytes each. */
  readonly smallTables: (count: number, bytes: number) => string[];
  query(database: string, statements: readonly string[]): Promise<void>;
  drop(database: string): Promise<void>;
  /** What is done besides making the target empty before each restore. */
  settle(): Promise<void>;
  backup(bench: ServerBench): Contest;
  /** Of what `backup` and `backupsToRestore` leave. */
  restore(bench: ServerBench): Contest;
  /** Backups that are made before `restore` is measured. */
  backupsToRestore(bench: ServerBench): readonly Contender[];
  small(bench: ServerBench, database: string, goal: Goal): Contest;
  /** Of what `small` leaves. */
  smallRestore(bench: ServerBench, goal: Goal): Contest;
}

/** Measures the chosen parts on one server. */
export async function benchServer(peers: Peers, options: BenchOptions): Promise<Result[]> {
  const bench = new ServerBench(peers, options);
  const results: Result[] = [];
  const run = async (title: string, contest: Contest): Promise<void> => {
    results.push(await runSuite({ title, ...contest }, peers.server.pid, options.rounds));
  };
  const { parts, bytes, workers } = options;
  if (parts.has('backup') || parts.has('restore')) {
    const what = `${peers.name}, ${(bytes / 1e9).toFixed(1)} GB, ${workers} workers`;
    await bench.fill('tenants', peers.tenants(bytes));
    if (parts.has('backup')) await run(`${what}: backup`, peers.backup(bench));
    if (parts.has('restore')) {
      for (const contender of peers.backupsToRestore(bench)) await runOnce(contender);
      await run(`${what}: restore`, peers.restore(bench));
    }
    await peers.drop('tenants');
  }
  if (parts.has('small')) {
    for (const [name, title, size, goal] of [
      ['medium', '300 tables of 2 MB', 2e6, { ratio: 1 }],
      ['tiny', '300 tables of three rows', 0, { extraSeconds: 0.7 }],
    ] as const) {
      await bench.fill(name, peers.smallTables(300, size));
      await run(`${peers.name}, ${title}: backup`, peers.small(bench, name, goal));
      await run(`${peers.name}, ${title}: restore`, peers.smallRestore(bench, goal));
      await peers.drop(name);
    }
  }
  return results;
}

/** Makes contenders: ours, and what is alike for all others. */
export class ServerBench {
  readonly #peers: Peers;
  readonly #options: BenchOptions;

  constructor(peers: Peers, options: BenchOptions) {
    this.#peers = peers;
    this.#options = options;
  }

  /** How many things at once, as the tools take it. */
  get workers(): string {
    return `${this.#options.workers}`;
  }

  async fill(database: string, statements: readonly string[]): Promise<void> {
    process.stderr.write(`filling ${database}\n`);
    await this.#peers.server.createDatabase(database);
    await this.#peers.query(database, statements);
  }

  /** Where the archive, or other file, of a contender is. */
  place(name: string): string {
    return join(this.#options.directory, `${this.#peers.name}-${name}`.replaceAll(/[^\w.]+/g, '-').toLowerCase());
  }

  /** A backup of theirs that writes a directory, or a file, which must not exist before. */
  theirs(name: string, command: string, args: readonly string[]): Contender {
    return { name, command, args, ...this.#writes(this.place(name)) };
  }

  backup(name: string, database: string, more: readonly string[] = []): Contender {
    const place = this.place(name);
    const args = ['backup', '--source', this.#peers.server.urlOf(database), '--out', place, ...more];
    return { ...holdfast(name, this.#options.workers, args), ...this.#writes(place) };
  }

  /** Restores the backup that a contender of this name made. */
  restore(name: string): Contender {
    const args = ['restore', '--from', this.place(name), '--target', this.#peers.server.urlOf('target')];
    return { ...holdfast(name, this.#options.workers, args), before: () => this.emptyTarget() };
  }

  async emptyTarget(): Promise<void> {
    await this.#peers.drop('target');
    await this.#peers.server.createDatabase('target');
    await this.#peers.settle();
  }

  #writes(place: string): Pick<Contender, 'before' | 'size'> {
    return { before: () => rm(place, { recursive: true, force: true }), size: () => sizeOf(place) };
  }
}
