import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from 'graphql-ws/client';
import WebSocket from 'ws';
import { eventually } from './eventually.ts';
import { ask } from './graphql.ts';
import { freePort, type HoldfastProcess, runHoldfast, startHoldfast } from './holdfast.ts';
import { temporaryDirectory } from './temporary.ts';

/** What these scenarios keep: things with a name and a number. */
export const THING = 'type Thing @entity { id: ID! @id  name: String! @index  n: Int! @default(value: 0) }\n';

/** A primary or a replica that keeps its ports and its data over restarts. */
export interface Node {
  readonly url: string;
  readonly websocket: string;
  readonly opsUrl: string;
  /** Its data directory. */
  readonly data: string;
  /** Everything printed since its last start. */
  output(): string;
  readonly pid: number;
  /** Starts it again, with these variables besides its own; its process runs then, and is `ready` later. */
  start(environment?: NodeJS.ProcessEnv): void;
  readonly ready: Promise<unknown>;
  /** Resolves when the present run ends. */
  readonly exited: Promise<number | NodeJS.Signals>;
  stop(): Promise<number | NodeJS.Signals>;
  kill(): Promise<void>;
  /** What it tells of how it follows; undefined while it does not answer. */
  following(): Promise<Following | undefined>;
  /** Waits until it follows in this state. */
  is(state: string): Promise<void>;
  /** Runs `holdfast replica verify` until it can compare. */
  verify(...flags: string[]): Promise<Awaited<ReturnType<typeof runHoldfast>>>;
}

interface Following {
  readonly state: string;
  readonly primary: string;
  readonly applied: number;
  readonly lastError: string | null;
}

/** Nodes of one test, in a directory of their own; killed and removed at the end of the scope (`await using`). */
export interface Nodes extends AsyncDisposable {
  readonly path: string;
  /** Where primaries read their SDL; written anew for a change of it. */
  readonly schema: string;
  primary(name?: string, environment?: NodeJS.ProcessEnv): Promise<Node>;
  replica(name: string, primaries: readonly Node[], environment?: NodeJS.ProcessEnv): Promise<Node>;
}

export async function nodes(sdl = THING): Promise<Nodes> {
  const directory = await temporaryDirectory();
  const schema = join(directory.path, 'schema');
  await mkdir(schema);
  await writeFile(join(schema, 'schema.graphql'), sdl);
  const started: Node[] = [];
  const add = async (name: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Node> => {
    const [port, opsPort] = await Promise.all([freePort(), freePort()]);
    const data = join(directory.path, name);
    const ports = ['--port', `${port}`, '--ops-port', `${opsPort}`, '--data', data];
    const node = new TestNode([...args, ...ports], port, opsPort, data, environment);
    started.push(node);
    return node;
  };
  return {
    path: directory.path,
    schema,
    primary: (name = 'primary', environment) => add(name, ['start', '--schema', schema], environment),
    replica: (name, primaries, environment) =>
      add(name, ['replica', '--primary', primaries.map(({ websocket }) => websocket).join(',')], environment),
    async [Symbol.asyncDispose]() {
      await Promise.all(started.map((node) => node.kill()));
      await directory[Symbol.asyncDispose]();
    },
  };
}

class TestNode implements Node {
  readonly url: string;
  readonly websocket: string;
  readonly opsUrl: string;
  readonly data: string;
  readonly #args: readonly string[];
  readonly #environment: NodeJS.ProcessEnv;
  #process: HoldfastProcess;

  constructor(args: readonly string[], port: number, opsPort: number, data: string, environment: NodeJS.ProcessEnv) {
    this.url = `http://127.0.0.1:${port}/graphql`;
    this.websocket = `ws://127.0.0.1:${port}/graphql`;
    this.opsUrl = `http://127.0.0.1:${opsPort}/graphql`;
    this.data = data;
    this.#args = args;
    this.#environment = environment;
    this.#process = startHoldfast(args, environment);
  }

  get pid(): number {
    return this.#process.pid;
  }

  get ready(): Promise<unknown> {
    return this.#process.ready;
  }

  output(): string {
    return this.#process.output();
  }

  get exited(): Promise<number | NodeJS.Signals> {
    return this.#process.exited;
  }

  start(environment: NodeJS.ProcessEnv = {}): void {
    this.#process = startHoldfast(this.#args, { ...this.#environment, ...environment });
  }

  stop(): Promise<number | NodeJS.Signals> {
    return this.#process.stop();
  }

  kill(): Promise<void> {
    return this.#process.kill();
  }

  async following(): Promise<Following | undefined> {
    const query = '{ status { following { state primary applied lastError } } }';
    const answer = await ask<{ status: { following: Following } }>(this.opsUrl, query).catch(() => undefined);
    return answer?.status.following;
  }

  async is(state: string): Promise<void> {
    let last: Following | undefined;
    await eventually(
      `${this.#args.join(' ')} is ${state}`,
      async () => {
        last = await this.following();
        return last?.state === state;
      },
      25_000,
    ).catch((error: Error) => {
      throw new Error(`${error.message}; it is ${JSON.stringify(last)}`);
    });
  }

  verify(...flags: string[]): ReturnType<typeof runHoldfast> {
    return eventually(
      'the replica can be compared',
      async () => {
        const result = await runHoldfast(['replica', 'verify', ...flags, '--url', this.opsUrl]);
        return result.code === 1 ? undefined : result;
      },
      25_000,
    );
  }
}

/** Creates things of these names; the position after the last. */
export async function create(url: string, names: readonly string[]): Promise<string> {
  const inputs = names.map((name) => ({ id: name, name }));
  const { createThings } = await ask<{ createThings: { position: string; written: number } }>(
    url,
    'mutation($inputs: [CreateThingInput!]!) { createThings(inputs: $inputs) { written position } }',
    { inputs },
  );
  if (createThings.written !== names.length) throw new Error(`${createThings.written} of ${names.length} were written`);
  return createThings.position;
}

/** Names `prefix-0` … */
export const names = (prefix: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}-${i}`);

export async function count(url: string): Promise<number> {
  return (await ask<{ thingsCount: number }>(url, '{ thingsCount }')).thingsCount;
}

/** Events of a subscription, as they come. */
export interface Subscriber<T> {
  readonly events: readonly T[];
  /** Resolves when it ended, whatever the reason. */
  readonly ended: Promise<void>;
  stop(): void;
}

/** May be stopped before it was open: the error of that is nobody's. */
class QuietWebSocket extends WebSocket {
  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols);
    this.on('error', () => {});
  }
}

/** Subscribes once: what is lost is not asked for again. */
export function subscriber<T>(
  websocket: string,
  query: string,
  variables: Record<string, unknown> = {},
): Subscriber<T> {
  const events: T[] = [];
  const client = createClient({ url: websocket, webSocketImpl: QuietWebSocket, retryAttempts: 0 });
  const ended = Promise.withResolvers<void>();
  client.subscribe<T>(
    { query, variables },
    {
      next: ({ data, errors }) => {
        if (errors !== undefined) throw new Error(JSON.stringify(errors));
        events.push(data as T);
      },
      error: () => ended.resolve(),
      complete: () => ended.resolve(),
    },
  );
  return { events, ended: ended.promise, stop: () => client.terminate() };
}
