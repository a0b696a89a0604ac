import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { eventually } from '../eventually.ts';
import type { Account } from './account.ts';

/** What to run, and as whom. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** The account to run as; without one, this process's own. */
  readonly account?: Account | undefined;
  /** The signal that asks for an orderly end. Default SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
}

/** One run of a program, from its start to its end. */
export interface Running {
  readonly pid: number;
  /** Resolves when it has ended, for whatever reason. */
  readonly ended: Promise<void>;
  hasEnded(): boolean;
  /** The last 64 KiB it printed. */
  output(): string;
  /** SIGKILL to it and all its descendants; resolves when they are gone. */
  kill(): Promise<void>;
  /** SIGSTOP to it and all its descendants. */
  suspend(): Promise<void>;
  /** SIGCONT to them. */
  resume(): Promise<void>;
  /** Asks it to end, and kills it when it has not after 20 s. */
  stop(): Promise<void>;
}

const OUTPUT_LIMIT = 64 * 1024;
const STOP_TIMEOUT_MS = 20_000;

const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) signalTree(child.pid ?? 0, 'SIGKILL');
});

/**
 * Starts a program. It ends with this process, also when that is killed: where `setpriv` is at hand (Linux), the kernel sees to it.
 */
export function run({ command, args, cwd, account, stopSignal = 'SIGTERM' }: Program): Running {
  const guard = findProgram('setpriv');
  const [file, ...rest] = [...(guard === undefined ? [] : [guard, '--pdeathsig', 'KILL']), command, ...args];
  const child = spawn(file as string, rest, {
    ...(cwd === undefined ? {} : { cwd }),
    ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  const pid = child.pid ?? 0;
  let printed = '';
  const print = (chunk: Buffer | string): void => {
    printed = (printed + chunk.toString()).slice(-OUTPUT_LIMIT);
  };
  child.stdout.on('data', print);
  child.stderr.on('data', print);
  let over = false;
  const ended = new Promise<void>((done) => {
    const end = (): void => {
      over = true;
      children.delete(child);
      done();
    };
    child.once('exit', end);
    child.once('error', (error) => {
      print(error.message);
      end();
    });
  });
  const kill = async (): Promise<void> => {
    if (over) return;
    const pids = signalTree(pid, 'SIGKILL');
    await ended;
    await eventually(`the end of ${command} and its children`, () => !pids.some(isAlive));
  };
  return {
    pid,
    ended,
    hasEnded: () => over,
    output: () => printed,
    kill,
    async suspend() {
      if (over) return;
      const pids = signalTree(pid, 'SIGSTOP');
      // A thread that runs stops at its next tick, and may answer until then.
      await eventually(`${command} and its children to stand still`, () => over || pids.every(isStopped));
    },
    async resume() {
      if (!over) signalTree(pid, 'SIGCONT');
    },
    async stop() {
      if (over) return;
      signalTree(pid, 'SIGCONT');
      child.kill(stopSignal);
      const timer = setTimeout(() => signalTree(pid, 'SIGKILL'), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** The path of a program, looked for on PATH and where Debian puts servers. */
export function findProgram(name: string): string | undefined {
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return directories.map((directory) => join(directory, name)).find(existsSync);
}

/** The ids of a process and its descendants, parents first. */
export function processTree(root: number): number[] {
  return walk(root, () => undefined);
}

/** Whether a process is there and no zombie. */
export function isAlive(pid: number): boolean {
  const stat = read(`/proc/${pid}/stat`);
  return stat !== undefined && !/\) [ZX] /.test(stat);
}

/** Whether every thread of a process is stopped, or it is gone. */
function isStopped(pid: number): boolean {
  return globSync(`/proc/${pid}/task/*/stat`).every((file) => /\) [TtZX] /.test(read(file) ?? ') X '));
}

/**
 * Signals a process and its descendants, and returns their ids. Each is stopped before its children are listed, so that none can
 * be born unseen. (A process group is not enough: PostgreSQL's processes each have their own.)
 */
function signalTree(root: number, signal: NodeJS.Signals): number[] {
  const pids = walk(root, (pid) => signal !== 'SIGCONT' && send(pid, 'SIGSTOP'));
  if (signal !== 'SIGSTOP') for (const pid of pids) send(pid, signal);
  return pids;
}

function walk(root: number, visit: (pid: number) => void): number[] {
  const pids = root === 0 ? [] : [root];
  for (const pid of pids) {
    visit(pid);
    pids.push(...childrenOf(pid));
  }
  return pids;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function childrenOf(pid: number): number[] {
  return globSync(`/proc/${pid}/task/*/children`).flatMap((file) =>
    (read(file) ?? '').split(' ').filter(Boolean).map(Number),
  );
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
