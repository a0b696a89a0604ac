import { spawnSync } from 'node:child_process';

/** A user of the operating system. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** The account `name` when this process is root, for servers that refuse to run as root; else none: they run as ourselves. */
export function accountFor(name: string): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const [uid, gid] = ['-u', '-g'].map((flag) =>
    Number(spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout || NaN),
  );
  if (uid === undefined || gid === undefined || Number.isNaN(uid + gid))
    throw new Error(`there is no user ${name} here`);
  return { uid, gid };
}
