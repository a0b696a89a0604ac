import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { type MariadbServer, startMariadb } from '../../support/servers/mariadb.ts';
import { mariadbSmallTables, mariadbTenants } from './mariadb-data.ts';
import { type Contender, runOnce } from './measure.ts';
import { type BenchOptions, type Comparison, holdfast, runSuite, type Suite, sizeOf } from './suite.ts';

const SETTINGS = ['--innodb-buffer-pool-size=1G', '--innodb-log-file-size=1G', '--max-allowed-packet=64M'];

type Result = Awaited<ReturnType<typeof runSuite>>;

/** Backups and restores of MariaDB beside mydumper with myloader, and mariadb-dump. */
export async function benchMariadb(options: BenchOptions): Promise<Result[]> {
  await using server = await startMariadb({ fsync: true, args: SETTINGS });
  const results: Result[] = [];
  const run = async (suite: Suite): Promise<void> => {
    results.push(await runSuite(suite, server.pid, options.rounds));
  };
  const bench = new MariadbBench(server, options);
  if (options.parts.has('backup') || options.parts.has('restore')) {
    const what = `MariaDB, ${(options.bytes / 1e9).toFixed(1)} GB, ${options.workers} workers`;
    await bench.fill('tenants', mariadbTenants(options.bytes));
    if (options.parts.has('backup')) await run(bench.backup(`${what}: backup`));
    if (options.parts.has('restore')) await run(await bench.restore(`${what}: restore`));
    await bench.drop('tenants');
  }
  if (options.parts.has('small')) {
    for (const [name, title, bytes, goal] of [
      ['medium', '300 tables of 2 MB', 2e6, { ratio: 1 }],
      ['tiny', '300 tables of three rows', 0, { extraSeconds: 0.7 }],
    ] as const) {
      await bench.fill(name, mariadbSmallTables(300, bytes));
      await run(bench.small(name, `MariaDB, ${title}: backup`, goal));
      await run(await bench.smallRestore(name, `MariaDB, ${title}: restore`, goal));
      await bench.drop(name);
    }
  }
  return results;
}

class MariadbBench {
  readonly #server: MariadbServer;
  readonly #options: BenchOptions;

  constructor(server: MariadbServer, options: BenchOptions) {
    this.#server = server;
    this.#options = options;
  }

  async fill(database: string, statements: readonly string[]): Promise<void> {
    process.stderr.write(`filling ${database}\n`);
    await this.#server.createDatabase(database);
    await this.#query(database, statements);
  }

  async drop(database: string): Promise<void> {
    await this.#query('app', [`DROP DATABASE IF EXISTS ${database}`]);
  }

  backup(title: string): Suite {
    return {
      title,
      contenders: [
        this.#mydumper('mydumper', 'tenants'),
        this.#backup('holdfast none', 'tenants', ['--compress', 'none']),
        this.#mydumper('mydumper -c', 'tenants', ['-c']),
        this.#backup('holdfast', 'tenants'),
        this.#mariadbDump('tenants'),
      ],
      comparisons: [
        { ours: 'holdfast none', theirs: 'mydumper', goal: { ratio: 0.75 } },
        { ours: 'holdfast', theirs: 'mydumper -c', goal: { ratio: 0.3 } },
      ],
    };
  }

  async restore(title: string): Promise<Suite> {
    const rows = this.#mydumper('mydumper -r', 'tenants', ['-r', '100000']);
    const backups = [
      this.#mydumper('mydumper', 'tenants'),
      rows,
      this.#backup('holdfast none', 'tenants', ['--compress', 'none']),
    ];
    for (const contender of backups) await runOnce(contender);
    return {
      title,
      contenders: [
        this.#myloader('myloader', 'mydumper'),
        this.#restore('holdfast none'),
        this.#myloader('myloader of -r', 'mydumper -r'),
      ],
      comparisons: [
        { ours: 'holdfast none', theirs: 'myloader', goal: { ratio: 0.65 } },
        { ours: 'holdfast none', theirs: 'myloader of -r', goal: { ratio: 0.85 } },
      ],
    };
  }

  small(database: string, title: string, goal: Comparison['goal']): Suite {
    return {
      title,
      contenders: [
        this.#mydumper('mydumper', database),
        this.#backup('holdfast none', database, ['--compress', 'none']),
      ],
      comparisons: [{ ours: 'holdfast none', theirs: 'mydumper', goal }],
    };
  }

  async smallRestore(database: string, title: string, goal: Comparison['goal']): Promise<Suite> {
    for (const contender of this.small(database, '', goal).contenders) await runOnce(contender);
    return {
      title,
      contenders: [this.#myloader('myloader', 'mydumper'), this.#restore('holdfast none')],
      comparisons: [{ ours: 'holdfast none', theirs: 'myloader', goal }],
    };
  }

  #mydumper(name: string, database: string, more: readonly string[] = []): Contender {
    const directory = this.#archive(name);
    const dump = ['mydumper', ...this.#login(), '-B', database, '-t', `${this.#options.workers}`, ...more];
    return {
      name,
      ...synced([...dump, '-v', '1', '-o', directory], `${directory}/*`),
      before: () => rm(directory, { recursive: true, force: true }),
      size: () => sizeOf(directory),
    };
  }

  #mariadbDump(database: string): Contender {
    const file = this.#archive('mariadb-dump.sql');
    const dump = [
      'mariadb-dump',
      ...this.#login(),
      '--single-transaction',
      '--quick',
      `--result-file=${file}`,
      database,
    ];
    return { name: 'mariadb-dump', ...synced(dump, file), before: () => rm(file, { force: true }) };
  }

  #backup(name: string, database: string, more: readonly string[] = []): Contender {
    const directory = this.#archive(name);
    const args = ['backup', '--source', this.#server.urlOf(database), '--out', directory, ...more];
    return {
      ...holdfast(name, this.#options.workers, args),
      before: () => rm(directory, { recursive: true, force: true }),
      size: () => sizeOf(directory),
    };
  }

  #myloader(name: string, archive: string): Contender {
    const work = ['-B', 'target', '-t', `${this.#options.workers}`, '-v', '1', '-d', this.#archive(archive)];
    return { name, command: 'myloader', args: [...this.#login(), ...work], before: () => this.#emptyTarget() };
  }

  #restore(name: string): Contender {
    const args = ['restore', '--from', this.#archive(name), '--target', this.#server.urlOf('target')];
    return { ...holdfast(name, this.#options.workers, args), before: () => this.#emptyTarget() };
  }

  #login(): string[] {
    return ['-h', '127.0.0.1', '-P', `${this.#server.port}`, '-u', 'app', '--password=pw'];
  }

  async #emptyTarget(): Promise<void> {
    await this.drop('target');
    await this.#server.createDatabase('target');
  }

  #archive(name: string): string {
    return join(this.#options.directory, `mariadb-${name.replaceAll(/[^\w.]+/g, '-')}`);
  }

  async #query(database: string, statements: readonly string[]): Promise<void> {
    const endpoint = { host: '127.0.0.1', port: this.#server.port, user: 'app', password: 'pw', database };
    const connection = await createConnection(endpoint);
    try {
      for (const statement of statements) await connection.query(statement);
    } finally {
      await connection.end();
    }
  }
}

/** A dump that leaves its files to the operating system, made durable as ours are. */
function synced(dump: readonly string[], files: string): Pick<Contender, 'command' | 'args'> {
  return { command: 'sh', args: ['-c', `${dump.map((word) => `'${word}'`).join(' ')} && sync ${files}`] };
}
