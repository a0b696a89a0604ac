import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cached, runTool } from './cache.ts';
import { INIT, type MariadbServer, withDatabases } from './mariadb.ts';
import { mysqlLaunch } from './mysql-launch.ts';
import { run } from './process.ts';
import { type ServerOptions, startServer } from './server.ts';

/** Starts MySQL, as `startMariadb` starts MariaDB. */
export async function startMysql(options: ServerOptions = {}): Promise<MariadbServer> {
  const launch = mysqlLaunch();
  if ('reason' in launch) throw new Error(launch.reason);
  const { server: command, dump } = launch;
  const server = await startServer(
    {
      kind: 'mysql',
      prepare(directory) {
        writeFileSync(join(directory, 'init.sql'), INIT);
        const data = join(directory, 'data');
        if (!existsSync(data)) runTool('cp', ['-a', template(command), data]);
      },
      start: (port, directory) =>
        run({
          command,
          cwd: directory,
          args: [
            ...[...COMMON, `--datadir=${join(directory, 'data')}`, `--port=${port}`, '--bind-address=127.0.0.1'],
            ...[
              `--socket=${join(directory, 'socket')}`,
              `--pid-file=${join(directory, 'pid')}`,
              `--tmpdir=${directory}`,
            ],
            ...[
              `--init-file=${join(directory, 'init.sql')}`,
              '--secure-file-priv=',
              '--mysqlx=OFF',
              '--local-infile=1',
            ],
            ...['--innodb-buffer-pool-size=32M', '--skip-name-resolve', '--skip-log-bin', '--performance-schema=OFF'],
            `--innodb-flush-log-at-trx-commit=${options.fsync === true ? 1 : 2}`,
            ...(options.args ?? []),
          ],
        }),
      isReady: (started) => /ready for connections.* port: [1-9]/.test(started.output()),
      url: (port, database = 'app') => `mysql://app:pw@127.0.0.1:${port}/${database}`,
    },
    options,
  );
  return withDatabases(server, dump);
}

/** It runs as root where we are root: the programs may lie where nobody else looks. */
const COMMON = ['--no-defaults', ...(process.getuid?.() === 0 ? ['--user=root'] : [])];

/** A data directory with nothing in it, made once. */
function template(command: string): string {
  const version = runTool(command, [...COMMON, '--version']);
  const directory = cached('mysql-data', [version], (building) => {
    runTool(command, [...COMMON, '--initialize-insecure', `--datadir=${join(building, 'data')}`], { cwd: building });
  });
  return join(directory, 'data');
}
