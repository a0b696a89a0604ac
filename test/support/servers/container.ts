import { spawnSync } from 'node:child_process';
import { type Running, run } from './process.ts';

/** A MongoDB image to run. */
export interface Container {
  readonly image: string;
  readonly port: number;
  /** Directory of the host that holds the data. */
  readonly directory: string;
  readonly args: readonly string[];
}

const containers = new Set<string>();
process.on('exit', () => {
  for (const name of containers) docker('kill', name);
});

/** Runs mongod in a container. Signals to the client do not reach the server, so Docker is asked for each. */
export function runContainer({ image, port, directory, args }: Container): Running {
  const name = `holdfast-test-${process.pid}-${port}-${Date.now()}`;
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  const where = ['-p', `127.0.0.1:${port}:27017`, '-v', `${directory}:/data/db`, '--user', user];
  const client = run({ command: 'docker', args: ['run', '--rm', '--name', name, ...where, image, ...args] });
  containers.add(name);
  void client.ended.then(() => containers.delete(name));
  const end = async (...command: string[]): Promise<void> => {
    if (client.hasEnded()) return;
    docker(...command, name);
    await client.ended;
  };
  return {
    ...client,
    kill: () => end('kill'),
    suspend: async () => docker('pause', name),
    resume: async () => docker('unpause', name),
    stop: () => {
      docker('unpause', name);
      return end('stop');
    },
  };
}

function docker(...args: string[]): void {
  spawnSync('docker', args, { stdio: 'ignore', timeout: 30_000 });
}
