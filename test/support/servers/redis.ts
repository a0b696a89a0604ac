import { findProgram, run } from './process.ts';
import { type ServerOptions, startServer, type TestServer } from './server.ts';

export type RedisServer = TestServer;

/**
 * Starts Redis with an append-only file. Every write is in the file before it is answered, so that a kill loses none: `everysec`
 * would put off writing while a flush runs.
 */
export function startRedis(options: ServerOptions = {}): Promise<RedisServer> {
  const command = findProgram('redis-server') ?? 'redis-server';
  return startServer(
    {
      kind: 'redis',
      start: (port, directory) =>
        run({
          command,
          cwd: directory,
          args: [
            ...['--port', `${port}`, '--bind', '127.0.0.1', '--dir', directory, '--save', ''],
            ...['--appendonly', 'yes', '--appendfsync', options.fsync === true ? 'always' : 'no'],
            ...(options.args ?? []),
          ],
        }),
      isReady: (started) => started.output().includes('Ready to accept connections'),
      url: (port, database) => `redis://127.0.0.1:${port}${database === undefined ? '' : `/${database}`}`,
    },
    options,
  );
}
