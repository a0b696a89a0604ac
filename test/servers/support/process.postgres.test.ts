import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { describeWith } from '../../support/servers/describe-with.ts';
import { isAlive, processTree } from '../../support/servers/process.ts';

const SUPPORT = join(import.meta.dirname, '../../support/servers');

/** A process of its own that has started PostgreSQL and then does `what`; with the ids of the server's processes. */
async function starter(what: string) {
  const script = `
    import { startPostgres } from ${JSON.stringify(join(SUPPORT, 'postgres.ts'))};
    const { pid, directory } = await startPostgres();
    console.log(JSON.stringify({ pid, directory }));
    process.stdin.once('data', () => { ${what} });`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const { pid, directory } = JSON.parse(line.toString()) as { pid: number; directory: string };
  onTestFinished(() => {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });
  const pids = processTree(pid);
  expect(pids.length).toBeGreaterThan(1);
  return { child, pids };
}

describeWith('postgres', 'a server whose test', () => {
  it.each(['process.exit()', 'throw new Error("unexpected")'])('ends with %s ends with it', async (what) => {
    const { child, pids } = await starter(what);
    child.stdin.write('now');
    await once(child, 'exit');
    await eventually('the end of the server', () => !pids.some(isAlive));
  });

  it.runIf(process.platform === 'linux')('is killed ends with it', async () => {
    const { child, pids } = await starter('');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await eventually('the end of the server', () => !pids.some(isAlive));
  });
});
