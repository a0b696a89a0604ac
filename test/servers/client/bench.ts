import { type Collection, type Document, MongoClient as DriverClient } from 'mongodb';
import { type FallbackSettings, MongoClient } from '../../../src/fallback/index.ts';
import { eventually } from '../../support/eventually.ts';
import { databaseName } from '../../support/mongo-store.ts';
import type { MongoServer } from '../../support/servers/mongo.ts';
import { temporaryDirectory } from '../../support/temporary.ts';
import { THINGS } from './calls.ts';

export interface Bench extends AsyncDisposable {
  readonly client: MongoClient;
  readonly things: Collection<Document>;
  /** Of the driver's own client. */
  readonly raw: Collection<Document>;
  readonly settings: FallbackSettings;
  readonly url: string;
}

/** A client with a change log over things that were there before, and the driver's own beside it. */
export async function setUp(
  server: MongoServer,
  settings: Partial<FallbackSettings> = {},
  exclusiveWriter = true,
): Promise<Bench> {
  await using parts = new AsyncDisposableStack();
  const { path: directory } = parts.use(await temporaryDirectory());
  const url = server.urlOf(databaseName());
  const other = new DriverClient(url);
  parts.defer(() => other.close());
  const raw = other.db().collection('things');
  await raw.insertMany(THINGS.map((thing) => ({ ...thing })));
  const fallback = { changeLog: { directory, exclusiveWriter }, ...settings };
  const client = new MongoClient(url, { fallback });
  parts.defer(() => client.close());
  await client.connect();
  await complete(client);
  const owned = parts.move();
  return {
    ...{ client, raw, url, settings: fallback, things: client.db().collection('things') },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export async function complete(client: MongoClient): Promise<void> {
  await eventually('the copy is there', async () => (await client.fallbackStatus()).live?.complete === true);
}

export async function isOpen(client: MongoClient): Promise<void> {
  await eventually('it is known', async () => (await client.fallbackStatus()).state === 'OPEN');
}

export async function isClosed(client: MongoClient): Promise<void> {
  await eventually('it is back', async () => (await client.fallbackStatus()).state === 'CLOSED', 20_000);
}

/** Resolves when the copy has what was written until now. */
export async function copied(client: MongoClient): Promise<void> {
  const writtenAt = Date.now();
  await eventually(
    'the copy has it',
    async () => {
      const { live } = await client.fallbackStatus();
      return live !== null && live.stalenessMs < Date.now() - writtenAt;
    },
    30_000,
  );
}

/** Another service with a change log on the same database. */
export async function beside({ url }: Bench): Promise<{ readonly client: MongoClient } & AsyncDisposable> {
  await using parts = new AsyncDisposableStack();
  const { path: directory } = parts.use(await temporaryDirectory());
  const client = new MongoClient(url, { fallback: { changeLog: { directory, exclusiveWriter: true } } });
  parts.defer(() => client.close());
  await client.connect();
  await complete(client);
  const owned = parts.move();
  return { client, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
