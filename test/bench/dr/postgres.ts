import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { type PostgresServer, postgresPrograms, startPostgres } from '../../support/servers/postgres.ts';
import { findProgram } from '../../support/servers/process.ts';
import { type Contender, runOnce } from './measure.ts';
import { postgresSmallTables, postgresTenants } from './postgres-data.ts';
import { type BenchOptions, holdfast, runSuite, type Suite, sizeOf } from './suite.ts';

const SETTINGS = {
  shared_buffers: '1GB',
  max_wal_size: '8GB',
  maintenance_work_mem: '256MB',
  wal_level: 'replica',
  autovacuum: 'off',
  checkpoint_timeout: '30min',
};

type Result = Awaited<ReturnType<typeof runSuite>>;

/** Backups and restores of PostgreSQL beside pg_dump and pg_restore (and pgcopydb, where it is installed). */
export async function benchPostgres(options: BenchOptions): Promise<Result[]> {
  const args = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  await using server = await startPostgres({ fsync: true, args });
  const results: Result[] = [];
  const run = async (suite: Suite): Promise<void> => {
    results.push(await runSuite(suite, server.pid, options.rounds));
  };
  const bench = new PostgresBench(server, options);
  if (options.parts.has('backup') || options.parts.has('restore')) {
    const what = `PostgreSQL, ${(options.bytes / 1e9).toFixed(1)} GB, ${options.workers} workers`;
    await bench.fill('tenants', postgresTenants(options.bytes));
    if (options.parts.has('backup')) await run(bench.backup(`${what}: backup`));
    if (options.parts.has('restore')) await run(await bench.restore(`${what}: restore`));
    await bench.drop('tenants');
  }
  if (options.parts.has('small')) {
    for (const [name, title, bytes, goal] of [
      ['medium', '300 tables of 2 MB', 2e6, { ratio: 1 }],
      ['tiny', '300 tables of three rows', 0, { extraSeconds: 0.7 }],
    ] as const) {
      await bench.fill(name, postgresSmallTables(300, bytes));
      await run(bench.small(name, `PostgreSQL, ${title}`, goal));
      await run(await bench.smallRestore(name, `PostgreSQL, ${title}: restore`, goal));
      await bench.drop(name);
    }
  }
  return results;
}

class PostgresBench {
  readonly #server: PostgresServer;
  readonly #options: BenchOptions;

  constructor(server: PostgresServer, options: BenchOptions) {
    this.#server = server;
    this.#options = options;
  }

  async fill(database: string, statements: readonly string[]): Promise<void> {
    process.stderr.write(`filling ${database}\n`);
    await this.#server.createDatabase(database);
    await this.#query(database, statements);
  }

  async drop(database: string): Promise<void> {
    await this.#query('postgres', [`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`]);
  }

  backup(title: string): Suite {
    return {
      title,
      contenders: [
        this.#pgDump('pg_dump -Z0', 'tenants', ['-Z0']),
        this.#backup('holdfast text, none', 'tenants', ['--format', 'text', '--compress', 'none']),
        this.#backup('holdfast none', 'tenants', ['--compress', 'none']),
        this.#pgDump('pg_dump', 'tenants', []),
        this.#backup('holdfast text', 'tenants', ['--format', 'text']),
        this.#backup('holdfast', 'tenants', []),
      ],
      comparisons: [
        { ours: 'holdfast text, none', theirs: 'pg_dump -Z0', goal: { ratio: 0.75 } },
        { ours: 'holdfast none', theirs: 'pg_dump -Z0', goal: { ratio: 0.65 } },
        { ours: 'holdfast text', theirs: 'pg_dump', goal: { ratio: 0.32 } },
        { ours: 'holdfast', theirs: 'pg_dump', goal: { ratio: 0.3 } },
      ],
    };
  }

  async restore(title: string): Promise<Suite> {
    for (const contender of this.backup('').contenders) await runOnce(contender);
    const copy = findProgram('pgcopydb');
    return {
      title,
      contenders: [
        this.#pgRestore('pg_restore of -Z0', 'pg_dump -Z0'),
        this.#pgRestore('pg_restore of -Z0, ANALYZE', 'pg_dump -Z0', true),
        this.#restore('holdfast text, none'),
        this.#restore('holdfast none'),
        this.#pgRestore('pg_restore', 'pg_dump'),
        this.#restore('holdfast'),
        ...(copy === undefined ? [] : [this.#pgcopydb(copy)]),
      ],
      comparisons: [
        { ours: 'holdfast text, none', theirs: 'pg_restore of -Z0', goal: { ratio: 0.9 } },
        { ours: 'holdfast none', theirs: 'pg_restore of -Z0', goal: { ratio: 0.8 } },
        { ours: 'holdfast text, none', theirs: 'pg_restore of -Z0, ANALYZE', goal: { ratio: 0.9 } },
        { ours: 'holdfast none', theirs: 'pg_restore of -Z0, ANALYZE', goal: { ratio: 0.8 } },
        { ours: 'holdfast', theirs: 'pg_restore', goal: { ratio: 0.8 } },
      ],
    };
  }

  small(database: string, title: string, goal: Suite['comparisons'][number]['goal']): Suite {
    return {
      title: `${title}: backup`,
      contenders: [
        this.#pgDump('pg_dump -Z0', database, ['-Z0']),
        this.#backup('holdfast none', database, ['--compress', 'none']),
        this.#pgDump('pg_dump', database, []),
        this.#backup('holdfast', database, []),
      ],
      comparisons: [
        { ours: 'holdfast none', theirs: 'pg_dump -Z0', goal },
        { ours: 'holdfast', theirs: 'pg_dump', goal },
      ],
    };
  }

  async smallRestore(database: string, title: string, goal: Suite['comparisons'][number]['goal']): Promise<Suite> {
    for (const contender of this.small(database, '', goal).contenders) await runOnce(contender);
    return {
      title,
      contenders: [
        this.#pgRestore('pg_restore', 'pg_dump'),
        this.#pgRestore('pg_restore, ANALYZE', 'pg_dump', true),
        this.#restore('holdfast'),
      ],
      comparisons: [
        { ours: 'holdfast', theirs: 'pg_restore', goal },
        { ours: 'holdfast', theirs: 'pg_restore, ANALYZE', goal },
      ],
    };
  }

  #pgDump(name: string, database: string, more: readonly string[]): Contender {
    const directory = this.#archive(name);
    return {
      name,
      command: join(postgresPrograms() ?? '', 'pg_dump'),
      args: ['-Fd', `-j${this.#options.workers}`, ...more, '-f', directory, '-d', this.#server.urlOf(database)],
      before: () => rm(directory, { recursive: true, force: true }),
      size: () => sizeOf(directory),
    };
  }

  #backup(name: string, database: string, more: readonly string[]): Contender {
    const directory = this.#archive(name);
    const args = ['backup', '--source', this.#server.urlOf(database), '--out', directory, ...more];
    return {
      ...holdfast(name, this.#options.workers, args),
      before: () => rm(directory, { recursive: true, force: true }),
      size: () => sizeOf(directory),
    };
  }

  #pgRestore(name: string, archive: string, analyzed = false): Contender {
    const [programs, target] = [postgresPrograms() ?? '', this.#server.urlOf('target')];
    const jobs = `-j${this.#options.workers}`;
    const steps = [
      [join(programs, 'pg_restore'), jobs, '-d', target, this.#archive(archive)],
      ...(analyzed ? [[join(programs, 'vacuumdb'), jobs, '--analyze-only', '--quiet', '-d', target]] : []),
    ];
    const line = steps.map((step) => step.map((word) => `'${word}'`).join(' ')).join(' && ');
    return { name, command: 'sh', args: ['-c', line], before: () => this.#emptyTarget() };
  }

  #restore(name: string): Contender {
    const args = ['restore', '--from', this.#archive(name), '--target', this.#server.urlOf('target')];
    return { ...holdfast(name, this.#options.workers, args), before: () => this.#emptyTarget() };
  }

  #pgcopydb(command: string): Contender {
    const { urlOf } = this.#server;
    const [source, target] = ['tenants', 'target'].map((name) => urlOf.call(this.#server, name)) as [string, string];
    const directory = this.#archive('pgcopydb');
    const jobs = ['--table-jobs', '--index-jobs'].flatMap((flag) => [flag, `${this.#options.workers}`]);
    return {
      name: 'pgcopydb clone (backup and restore in one)',
      command,
      args: ['clone', ...jobs, '--dir', directory, '--source', source, '--target', target],
      before: async () => {
        await rm(directory, { recursive: true, force: true });
        await this.#emptyTarget();
      },
    };
  }

  async #emptyTarget(): Promise<void> {
    await this.drop('target');
    await this.#server.createDatabase('target');
    await this.#query('postgres', ['CHECKPOINT']);
  }

  #archive(name: string): string {
    return join(this.#options.directory, `postgres-${name.replaceAll(/\W+/g, '-')}`);
  }

  async #query(database: string, statements: readonly string[]): Promise<void> {
    const client = new Client({ connectionString: this.#server.urlOf(database) });
    await client.connect();
    try {
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.end();
    }
  }
}
