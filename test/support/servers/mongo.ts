import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { MongoClient } from 'mongodb';
import { type Launch, mongoLaunch } from './mongo-launch.ts';
import { type ServerOptions, startServer, type TestServer } from './server.ts';

export type MongoServer = TestServer;

/**
 * Starts the MongoDB server that {@link mongoLaunch} finds. For the one at MONGODB_URL nothing is started: `killable` is false,
 * `urlOf` gives each name a random ending, and those databases are dropped when the server is disposed of.
 * @throws when there is none
 */
export async function startMongo(options: ServerOptions = {}): Promise<MongoServer> {
  const launch = mongoLaunch();
  if ('reason' in launch) throw new Error(launch.reason);
  return 'url' in launch ? new PresentMongo(launch.url) : startServer(planOf(launch, options), options);
}

function planOf(launch: Launch, { args = [], fsync = false }: ServerOptions) {
  return {
    kind: 'mongodb',
    start: (port: number, directory: string) => launch.start({ port, directory, fsync, args }),
    // A driver that found nobody tries again only after half a second.
    isReady: async (_: unknown, port: number) => (await accepts(port)) && (await answers(port)),
    url: (port: number, database?: string) =>
      `mongodb://127.0.0.1:${port}${database === undefined ? '' : `/${database}`}`,
  };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const socket = connect(port, '127.0.0.1', () => answer(true));
    socket.once('error', () => answer(false));
    socket.once('connect', () => socket.destroy());
  });
}

async function answers(port: number): Promise<boolean> {
  const url = `mongodb://127.0.0.1:${port}/?directConnection=true`;
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 500, connectTimeoutMS: 500, socketTimeoutMS: 2000 });
  try {
    await client.db('admin').command({ ping: 1 });
    return true;
  } catch {
    return false;
  } finally {
    await client.close();
  }
}

/** The server at MONGODB_URL. Others may use it: a test has databases of its own there, and ends nothing. */
class PresentMongo implements MongoServer {
  readonly killable = false;
  readonly pid = -1;
  readonly directory = '';
  readonly url: string;
  readonly #ending = randomBytes(4).toString('hex');
  readonly #databases = new Set<string>();

  constructor(url: string) {
    this.url = url;
  }

  get port(): number {
    return Number(/:(\d+)(?:[/,?]|$)/.exec(this.url.replace(/^.*@/, ''))?.[1] ?? 27017);
  }

  urlOf(database: string): string {
    const name = `${database}-${this.#ending}`;
    this.#databases.add(name);
    return withDatabase(this.url, name);
  }

  output(): string {
    return '';
  }

  kill = refuse;
  suspend = refuse;
  resume = refuse;
  restart = refuse;
  stop = refuse;

  async [Symbol.asyncDispose](): Promise<void> {
    const client = new MongoClient(this.url);
    try {
      for (const database of this.#databases) await client.db(database).dropDatabase();
    } finally {
      await client.close();
    }
  }
}

async function refuse(): Promise<never> {
  throw new Error('the MongoDB server at MONGODB_URL is not ours to stop: a test that does needs `killable`');
}

/** Exchanges the database of a URL; credentials are still looked up where they were. */
export function withDatabase(url: string, database: string): string {
  const parts = /^(mongodb(?:\+srv)?:\/\/)([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(url);
  if (parts === null) throw new Error('MONGODB_URL is no MongoDB URL');
  const [, scheme = '', hosts = '', before = '', query = ''] = parts;
  const parameters = query === '' ? [] : [query];
  if (hosts.includes('@') && !/(^|&)authSource=/i.test(query)) parameters.push(`authSource=${before || 'admin'}`);
  return `${scheme}${hosts}/${database}${parameters.length === 0 ? '' : `?${parameters.join('&')}`}`;
}
