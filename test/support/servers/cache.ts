import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chownSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureDirectory } from '../../../src/util/directory.ts';
import type { Account } from './account.ts';

/** Where a program is kept that root has another account run, which cannot look into root's home. */
export const SHARED_CACHE = '/var/cache';

/**
 * A directory that `make` fills once, and that every later run finds: an empty database, a compiled program. `ingredients` is all
 * that its contents depend on. Several processes may ask at once; a directory is there whole or not at all.
 * @param account owns the directory while it is made
 * @param below where it is kept. Default: the user's own cache
 * @throws what `make` throws
 */
export function cached(
  name: string,
  ingredients: readonly string[],
  make: (directory: string) => void,
  account?: Account,
  below = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
): string {
  const digest = createHash('sha256').update(JSON.stringify(ingredients)).digest('hex').slice(0, 16);
  const root = join(below, 'holdfast-test');
  const target = join(root, `${name}-${digest}`);
  if (existsSync(target)) return target;
  ensureDirectory(root);
  const build = mkdtempSync(join(tmpdir(), `holdfast-${name}-`));
  const staged = mkdtempSync(join(root, `.${name}-`));
  try {
    if (account !== undefined) chownSync(build, account.uid, account.gid);
    make(build);
    runTool('cp', ['-a', `${build}/.`, staged]);
    try {
      renameSync(staged, target);
    } catch (error) {
      // Somebody else was faster.
      if (!existsSync(target)) throw error;
    }
  } finally {
    for (const directory of [build, staged]) rmSync(directory, { recursive: true, force: true });
  }
  return target;
}

/**
 * Runs a program to its end, within `timeoutMs`, and returns what it printed.
 * @throws when it fails, with the end of what it printed
 */
export function runTool(
  command: string,
  args: readonly string[],
  { account, cwd, timeoutMs = 120_000 }: { account?: Account | undefined; cwd?: string; timeoutMs?: number } = {},
): string {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: timeoutMs,
    ...(cwd === undefined ? {} : { cwd }),
    ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
  });
  if (status === 0) return stdout;
  const reason = error?.message ?? `ended with ${status ?? signal}`;
  throw new Error(`${command}: ${reason} ${`${stdout ?? ''}${stderr ?? ''}`.trim().slice(-500)}`);
}
