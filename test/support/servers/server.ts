import { chownSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureDirectory } from '../../../src/util/directory.ts';
import type { Account } from './account.ts';
import { serverPort } from './port.ts';
import type { Running } from './process.ts';

export interface ServerOptions {
  /** Further arguments of the server, after ours. */
  readonly args?: readonly string[];
  /**
   * Where it keeps its data; what lies there from an earlier run is used. It stays when the server is disposed of. The server's
   * own user must be able to reach it. Default: a directory of its own, which is removed.
   */
  readonly directory?: string;
  /** Default: a free one. */
  readonly port?: number;
  /**
   * Whether it waits for the disk before it acknowledges. Default false, which is faster: what it acknowledged survives its own
   * kill -9 in either case, and no test switches off the machine.
   */
  readonly fsync?: boolean;
}

/** A server on loopback that belongs to a test. It ends with the test's process at the latest. */
export interface TestServer extends AsyncDisposable {
  /** Base URL, with user and password when it has any. */
  readonly url: string;
  readonly port: number;
  /** Of the present run; changes with `restart`. */
  readonly pid: number;
  readonly directory: string;
  /** Whether `kill`, `suspend`, `resume`, `restart` and `stop` can be had; false for a server that was there before the test. */
  readonly killable: boolean;
  /** The URL of one of its databases. */
  urlOf(database: string): string;
  /** What the present run printed last; for messages. */
  output(): string;
  /** SIGKILL to it and its children; resolves when they are gone. Nothing happens when it has ended. */
  kill(): Promise<void>;
  /** SIGSTOP to it and its children: connections stay open, nothing is answered. */
  suspend(): Promise<void>;
  resume(): Promise<void>;
  /** Starts it again on the same port and data; stops it first when it is running. Resolves when it accepts connections. */
  restart(): Promise<void>;
  /** An orderly end. The data stay until it is disposed of. */
  stop(): Promise<void>;
}

/** How one kind of server is run. */
export interface ServerPlan {
  readonly kind: string;
  readonly account?: Account | undefined;
  /** Puts the initial data into an empty or used directory. */
  readonly prepare?: (directory: string) => void;
  readonly start: (port: number, directory: string) => Running;
  /** Whether it accepts connections; asked again and again. */
  readonly isReady: (run: Running, port: number) => boolean | Promise<boolean>;
  readonly url: (port: number, database?: string) => string;
}

const START_TIMEOUT_MS = 60_000;
const TRIES = 3;

/** Starts a server and waits until it accepts connections. Takes another port when somebody was faster, three times in all. */
export async function startServer(plan: ServerPlan, options: ServerOptions): Promise<TestServer> {
  const own = options.directory === undefined;
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), `holdfast-${plan.kind}-`)));
  try {
    ensureDirectory(directory);
    if (plan.account !== undefined) chownSync(directory, plan.account.uid, plan.account.gid);
    plan.prepare?.(directory);
    for (let tries = 1; ; tries++) {
      const port = options.port ?? (await serverPort());
      try {
        return new LocalServer(plan, port, directory, own, await begin(plan, port, directory));
      } catch (error) {
        if (tries === TRIES || options.port !== undefined) throw error;
      }
    }
  } catch (error) {
    if (own) await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

class LocalServer implements TestServer {
  readonly killable = true;
  readonly url: string;
  readonly #plan: ServerPlan;
  readonly port: number;
  readonly directory: string;
  readonly #removes: boolean;
  #run: Running;

  constructor(plan: ServerPlan, port: number, directory: string, removes: boolean, run: Running) {
    this.#plan = plan;
    this.port = port;
    this.directory = directory;
    this.#removes = removes;
    this.#run = run;
    this.url = plan.url(port);
  }

  get pid(): number {
    return this.#run.pid;
  }

  urlOf(database: string): string {
    return this.#plan.url(this.port, database);
  }

  output(): string {
    return this.#run.output();
  }

  kill(): Promise<void> {
    return this.#run.kill();
  }

  suspend(): Promise<void> {
    return this.#run.suspend();
  }

  resume(): Promise<void> {
    return this.#run.resume();
  }

  async restart(): Promise<void> {
    await this.stop();
    this.#run = await begin(this.#plan, this.port, this.directory);
  }

  stop(): Promise<void> {
    return this.#run.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    if (this.#removes) await rm(this.directory, { recursive: true, force: true });
  }
}

async function begin(plan: ServerPlan, port: number, directory: string): Promise<Running> {
  const run = plan.start(port, directory);
  const end = performance.now() + START_TIMEOUT_MS;
  while (!(await plan.isReady(run, port))) {
    const late = performance.now() > end;
    if (late || run.hasEnded()) {
      await run.kill();
      const what = late ? `is not up after ${START_TIMEOUT_MS} ms` : 'ended at its start';
      throw new Error(`${plan.kind} on port ${port} ${what}:\n${run.output()}`);
    }
    await Promise.race([run.ended, new Promise((resolve) => setTimeout(resolve, 10))]);
  }
  return run;
}
