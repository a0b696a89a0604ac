import { Writable } from 'node:stream';
import { main } from '../../src/cli/main.ts';

/** How a command ended, and what it wrote. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line in this process, with its streams collected. */
export async function run(...args: string[]): Promise<Ended> {
  const output = { stdout: '', stderr: '' };
  const collect = (name: 'stdout' | 'stderr') =>
    new Writable({
      write(chunk, _encoding, done) {
        output[name] += String(chunk);
        done();
      },
    });
  const code = await main(args, { stdout: collect('stdout'), stderr: collect('stderr') });
  return { code, ...output };
}
