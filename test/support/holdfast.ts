import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { resolve } from 'node:path';

const BIN = resolve(import.meta.dirname, '../../bin/holdfast.js');

/** A `holdfast` command running as a process of its own. */
export interface HoldfastProcess extends AsyncDisposable {
  readonly pid: number;
  /** Everything it printed so far, stdout and stderr. */
  output(): string;
  /** Resolves at the first `ready` line; rejects when the process ends before it. */
  readonly ready: Promise<{ readonly url: string; readonly opsUrl: string }>;
  /** Resolves with the exit code, or the signal's name. */
  readonly exited: Promise<number | NodeJS.Signals>;
  /** kill -9, and waits until it is gone. */
  kill(): Promise<void>;
  /** SIGTERM, and waits for the exit code. */
  stop(): Promise<number | NodeJS.Signals>;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts `holdfast ARGS…`. The process is killed when the test's own process ends. */
export function startHoldfast(args: readonly string[], environment: NodeJS.ProcessEnv = {}): HoldfastProcess {
  const child = spawn(process.execPath, [BIN, ...args], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let printed = '';
  const exited = new Promise<number | NodeJS.Signals>((done) => {
    child.once('exit', (code, signal) => {
      running.delete(child);
      done(code ?? signal ?? -1);
    });
  });
  const ready = new Promise<{ url: string; opsUrl: string }>((found, failed) => {
    let isReady = false;
    const collect = (chunk: Buffer): void => {
      printed += chunk.toString();
      // What it prints later may be much: it is not searched again and again.
      if (isReady) return;
      const match = /^ready (\S+) ops (\S+)/m.exec(printed);
      if (match?.[1] === undefined || match[2] === undefined) return;
      isReady = true;
      found({ url: match[1], opsUrl: match[2] });
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    void exited.then((code) =>
      failed(new Error(`holdfast ${args.join(' ')} ended with ${code} before it was ready:\n${printed}`)),
    );
  });
  ready.catch(() => undefined);
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  return {
    pid: child.pid ?? -1,
    output: () => printed,
    ready,
    exited,
    kill,
    stop: () => {
      child.kill('SIGTERM');
      return exited;
    },
    [Symbol.asyncDispose]: kill,
  };
}

/** Runs `holdfast ARGS…` to its end. */
export async function runHoldfast(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<{ readonly code: number | NodeJS.Signals; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(process.execPath, [BIN, ...args], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    output.stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output.stderr += chunk.toString();
  });
  const code = await new Promise<number | NodeJS.Signals>((done) => {
    child.once('close', (exit, signal) => done(exit ?? signal ?? -1));
  });
  running.delete(child);
  return { code, ...output };
}

/** A port of 127.0.0.1 that nobody listens on now. */
export function freePort(): Promise<number> {
  return new Promise((found, failed) => {
    const server = createServer();
    server.once('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null ? found(address.port) : failed(new Error('no port')),
      );
    });
  });
}
