import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { type PostgresServer, postgresPrograms, startPostgres } from '../../support/servers/postgres.ts';
import { findProgram } from '../../support/servers/process.ts';
import type { Contender } from './measure.ts';
import { postgresSmallTables, postgresTenants } from './postgres-data.ts';
import { benchServer, type Contest, type Goal, type Peers, type Result, type ServerBench } from './server-bench.ts';
import type { BenchOptions } from './suite.ts';

const SETTINGS = {
  shared_buffers: '1GB',
  max_wal_size: '8GB',
  maintenance_work_mem: '256MB',
  wal_level: 'replica',
  autovacuum: 'off',
  checkpoint_timeout: '30min',
};

/** Backups and restores of PostgreSQL beside pg_dump and pg_restore (and pgcopydb, where it is installed). */
export async function benchPostgres(options: BenchOptions): Promise<Result[]> {
  const args = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  await using server = await startPostgres({ fsync: true, args });
  return await benchServer(new PostgresPeers(server), options);
}

class PostgresPeers implements Peers {
  readonly name = 'PostgreSQL';
  readonly tenants = postgresTenants;
  readonly smallTables = postgresSmallTables;
  readonly server: PostgresServer;

  constructor(server: PostgresServer) {
    this.server = server;
  }

  backup(bench: ServerBench): Contest {
    return {
      contenders: [
        this.#pgDump(bench, 'pg_dump -Z0', 'tenants', ['-Z0']),
        bench.backup('holdfast text, none', 'tenants', ['--format', 'text', '--compress', 'none']),
        bench.backup('holdfast none', 'tenants', ['--compress', 'none']),
        this.#pgDump(bench, 'pg_dump', 'tenants', []),
        bench.backup('holdfast text', 'tenants', ['--format', 'text']),
        bench.backup('holdfast', 'tenants'),
      ],
      comparisons: [
        { ours: 'holdfast text, none', theirs: 'pg_dump -Z0', goal: { ratio: 0.75 } },
        { ours: 'holdfast none', theirs: 'pg_dump -Z0', goal: { ratio: 0.65 } },
        { ours: 'holdfast text', theirs: 'pg_dump', goal: { ratio: 0.32 } },
        { ours: 'holdfast', theirs: 'pg_dump', goal: { ratio: 0.3 } },
      ],
    };
  }

  backupsToRestore(bench: ServerBench): readonly Contender[] {
    return this.backup(bench).contenders;
  }

  restore(bench: ServerBench): Contest {
    const copy = findProgram('pgcopydb');
    return {
      contenders: [
        this.#pgRestore(bench, 'pg_restore of -Z0', 'pg_dump -Z0'),
        this.#pgRestore(bench, 'pg_restore of -Z0, ANALYZE', 'pg_dump -Z0', true),
        bench.restore('holdfast text, none'),
        bench.restore('holdfast none'),
        this.#pgRestore(bench, 'pg_restore', 'pg_dump'),
        bench.restore('holdfast'),
        ...(copy === undefined ? [] : [this.#pgcopydb(bench, copy)]),
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

  small(bench: ServerBench, database: string, goal: Goal): Contest {
    return {
      contenders: [
        this.#pgDump(bench, 'pg_dump -Z0', database, ['-Z0']),
        bench.backup('holdfast none', database, ['--compress', 'none']),
        this.#pgDump(bench, 'pg_dump', database, []),
        bench.backup('holdfast', database),
      ],
      comparisons: [
        { ours: 'holdfast none', theirs: 'pg_dump -Z0', goal },
        { ours: 'holdfast', theirs: 'pg_dump', goal },
      ],
    };
  }

  smallRestore(bench: ServerBench, goal: Goal): Contest {
    return {
      contenders: [
        this.#pgRestore(bench, 'pg_restore', 'pg_dump'),
        this.#pgRestore(bench, 'pg_restore, ANALYZE', 'pg_dump', true),
        bench.restore('holdfast'),
      ],
      comparisons: [
        { ours: 'holdfast', theirs: 'pg_restore', goal },
        { ours: 'holdfast', theirs: 'pg_restore, ANALYZE', goal },
      ],
    };
  }

  async query(database: string, statements: readonly string[]): Promise<void> {
    const client = new Client({ connectionString: this.server.urlOf(database) });
    await client.connect();
    try {
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.end();
    }
  }

  drop(database: string): Promise<void> {
    return this.query('postgres', [`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`]);
  }

  settle(): Promise<void> {
    return this.query('postgres', ['CHECKPOINT']);
  }

  #pgDump(bench: ServerBench, name: string, database: string, more: readonly string[]): Contender {
    const where = ['-f', bench.place(name), '-d', this.server.urlOf(database)];
    const args = ['-Fd', `-j${bench.workers}`, ...more, ...where];
    return bench.theirs(name, join(postgresPrograms() ?? '', 'pg_dump'), args);
  }

  #pgRestore(bench: ServerBench, name: string, archive: string, analyzed = false): Contender {
    const [programs, target] = [postgresPrograms() ?? '', this.server.urlOf('target')];
    const jobs = `-j${bench.workers}`;
    const steps = [
      [join(programs, 'pg_restore'), jobs, '-d', target, bench.place(archive)],
      ...(analyzed ? [[join(programs, 'vacuumdb'), jobs, '--analyze-only', '--quiet', '-d', target]] : []),
    ];
    const line = steps.map((step) => step.map((word) => `'${word}'`).join(' ')).join(' && ');
    return { name, command: 'sh', args: ['-c', line], before: () => bench.emptyTarget() };
  }

  #pgcopydb(bench: ServerBench, command: string): Contender {
    const [source, target] = [this.server.urlOf('tenants'), this.server.urlOf('target')];
    const directory = bench.place('pgcopydb');
    const jobs = ['--table-jobs', '--index-jobs'].flatMap((flag) => [flag, bench.workers]);
    return {
      name: 'pgcopydb clone (backup and restore in one)',
      command,
      args: ['clone', ...jobs, '--dir', directory, '--source', source, '--target', target],
      before: async () => {
        await rm(directory, { recursive: true, force: true });
        await bench.emptyTarget();
      },
    };
  }
}
