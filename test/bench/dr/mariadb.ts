import { createConnection } from 'mysql2/promise';
import { type MariadbServer, startMariadb } from '../../support/servers/mariadb.ts';
import { mariadbSmallTables, mariadbTenants } from './mariadb-data.ts';
import type { Contender } from './measure.ts';
import { benchServer, type Contest, type Goal, type Peers, type Result, type ServerBench } from './server-bench.ts';
import type { BenchOptions } from './suite.ts';

const SETTINGS = ['--innodb-buffer-pool-size=1G', '--innodb-log-file-size=1G', '--max-allowed-packet=64M'];

/** Backups and restores of MariaDB beside mydumper with myloader, and mariadb-dump. */
export async function benchMariadb(options: BenchOptions): Promise<Result[]> {
  await using server = await startMariadb({ fsync: true, args: SETTINGS });
  return await benchServer(new MariadbPeers(server), options);
}

class MariadbPeers implements Peers {
  readonly name = 'MariaDB';
  readonly tenants = mariadbTenants;
  readonly smallTables = mariadbSmallTables;
  readonly server: MariadbServer;

  constructor(server: MariadbServer) {
    this.server = server;
  }

  backup(bench: ServerBench): Contest {
    return {
      contenders: [
        this.#mydumper(bench, 'mydumper', 'tenants'),
        bench.backup('holdfast none', 'tenants', ['--compress', 'none']),
        this.#mydumper(bench, 'mydumper -c', 'tenants', ['-c']),
        bench.backup('holdfast', 'tenants'),
        this.#mariadbDump(bench, 'tenants'),
      ],
      comparisons: [
        { ours: 'holdfast none', theirs: 'mydumper', goal: { ratio: 0.75 } },
        { ours: 'holdfast', theirs: 'mydumper -c', goal: { ratio: 0.3 } },
      ],
    };
  }

  backupsToRestore(bench: ServerBench): readonly Contender[] {
    return [
      this.#mydumper(bench, 'mydumper', 'tenants'),
      this.#mydumper(bench, 'mydumper -r', 'tenants', ['-r', '100000']),
      bench.backup('holdfast none', 'tenants', ['--compress', 'none']),
    ];
  }

  restore(bench: ServerBench): Contest {
    return {
      contenders: [
        this.#myloader(bench, 'myloader', 'mydumper'),
        bench.restore('holdfast none'),
        this.#myloader(bench, 'myloader of -r', 'mydumper -r'),
      ],
      comparisons: [
        { ours: 'holdfast none', theirs: 'myloader', goal: { ratio: 0.65 } },
        { ours: 'holdfast none', theirs: 'myloader of -r', goal: { ratio: 0.85 } },
      ],
    };
  }

  small(bench: ServerBench, database: string, goal: Goal): Contest {
    return {
      contenders: [
        this.#mydumper(bench, 'mydumper', database),
        bench.backup('holdfast none', database, ['--compress', 'none']),
      ],
      comparisons: [{ ours: 'holdfast none', theirs: 'mydumper', goal }],
    };
  }

  smallRestore(bench: ServerBench, goal: Goal): Contest {
    return {
      contenders: [this.#myloader(bench, 'myloader', 'mydumper'), bench.restore('holdfast none')],
      comparisons: [{ ours: 'holdfast none', theirs: 'myloader', goal }],
    };
  }

  async query(database: string, statements: readonly string[]): Promise<void> {
    const endpoint = { host: '127.0.0.1', port: this.server.port, user: 'app', password: 'pw', database };
    const connection = await createConnection(endpoint);
    try {
      for (const statement of statements) await connection.query(statement);
    } finally {
      await connection.end();
    }
  }

  drop(database: string): Promise<void> {
    return this.query('app', [`DROP DATABASE IF EXISTS ${database}`]);
  }

  async settle(): Promise<void> {}

  #mydumper(bench: ServerBench, name: string, database: string, more: readonly string[] = []): Contender {
    const place = bench.place(name);
    const dump = ['mydumper', ...this.#login(), '-B', database, '-t', bench.workers, ...more, '-v', '1', '-o', place];
    return bench.theirs(name, 'sh', synced(dump, `${place}/*`));
  }

  #mariadbDump(bench: ServerBench, database: string): Contender {
    const file = bench.place('mariadb-dump');
    const how = ['--single-transaction', '--quick', `--result-file=${file}`];
    const dump = ['mariadb-dump', ...this.#login(), ...how, database];
    return bench.theirs('mariadb-dump', 'sh', synced(dump, file));
  }

  #myloader(bench: ServerBench, name: string, archive: string): Contender {
    const work = ['-B', 'target', '-t', bench.workers, '-v', '1', '-d', bench.place(archive)];
    return { name, command: 'myloader', args: [...this.#login(), ...work], before: () => bench.emptyTarget() };
  }

  #login(): string[] {
    return ['-h', '127.0.0.1', '-P', `${this.server.port}`, '-u', 'app', '--password=pw'];
  }
}

/** A dump that leaves its files to the operating system, made durable as ours are; for `sh`. */
function synced(dump: readonly string[], files: string): string[] {
  return ['-c', `${dump.map((word) => `'${word}'`).join(' ')} && sync ${files}`];
}
