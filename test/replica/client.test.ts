import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { connect } from '../../replica/client.ts';
import { formatError } from '../../resolvers/errors.ts';
import { buildSyncSchema } from '../../resolvers/sync.ts';
import { HoldfastError, isHoldfastError } from '../../src/errors.ts';
import type { Frame, SyncSource } from '../../src/protocol/sync-source.ts';
import { startHttp } from '../../src/server/http.ts';
import type { HttpOptions } from '../../src/server/options.ts';
import type { Token } from '../../src/service/token.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { createRegistry } from '../../src/telemetry/metrics.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { contents, Follower, Primary } from './support.ts';

const TOKEN: Token = {
  ...{ id: 'ab'.repeat(8), name: 'ci', hash: 'ab'.repeat(32), roles: ['reader'] },
  ...{ createdAt: null, expiresAt: null, revokedAt: null },
};

async function* toldTokens(): AsyncGenerator<readonly Token[]> {
  yield [TOKEN];
  yield [];
}

/** The sync API of `source` on a free port. */
async function served(
  source: SyncSource,
  options: Partial<HttpOptions> = {},
): Promise<{ readonly url: string } & AsyncDisposable> {
  const server = await startHttp({
    host: '127.0.0.1',
    port: 0,
    schema: buildSyncSchema({ source, tokens: toldTokens }),
    context: (request) => ({ request }),
    logger: createLogger({ level: 'silent' }),
    metrics: createRegistry(),
    exempt: () => true,
    formatError,
    ...options,
  });
  return {
    url: `${server.url.replace(/^http/, 'ws')}/graphql`,
    [Symbol.asyncDispose]: () => server.stop({ graceMs: 0 }),
  };
}

const HELLO = {
  status: 'OK' as const,
  ...{ logId: 'ab'.repeat(16), epoch: 1, head: 7, floor: 1, cursor: 'AQ', sdl: 'type T', sdlHash: 'cd'.repeat(16) },
  epochs: [{ epoch: 1, firstSequence: 1 }],
};

const FRAME: Frame = {
  epoch: 1,
  from: 1,
  to: 1,
  head: 1,
  floor: 1,
  previous: '0'.repeat(32),
  chain: '1'.repeat(32),
  cursor: 'c',
  checksum: 0,
  body: '',
  digests: null,
};
const LIMITS = { maxBatch: 500, maxBytes: 512 * 1024 };
const SHAPE = { collections: null };

function sourceWith(parts: Partial<SyncSource>): SyncSource {
  return parts as SyncSource;
}

test('a replica follows over websockets, and goes on at the next address with the same cursor', async () => {
  await using directory = await temporaryDirectory();
  const primary = await Primary.open(directory.path);
  await primary.insert(0, 2_500);
  const first = await served(primary.source);
  await using second = await served(primary.source);
  const addresses = [first.url, second.url].map((url) => ({ name: url, connect: () => connect(url) }));
  const follower = await Follower.open(directory.path, addresses);
  await follower.replica.ready;
  await follower.caughtUp(primary);
  expect(follower.replica.status().source).toBe(first.url);
  await first[Symbol.asyncDispose]();
  await primary.insert(10_000, 700);
  await primary.write(77, { text: `${'long '.repeat(80_000)} "quoted" ü` });
  await follower.caughtUp(primary);
  expect(follower.replica.status().source).toBe(second.url);
  expect(contents(follower.store)).toEqual(contents(primary.store));
  expect(await follower.replica.verify()).toMatchObject({ equal: true });
  await eventually('the source knows its follower', () => primary.source.followers.list().length === 1);
  await follower.close();
  await primary.close();
});

test('every call arrives and is answered in its own types', async () => {
  await using directory = await temporaryDirectory();
  const primary = await Primary.open(directory.path);
  await primary.insert(0, 3);
  await using server = await served(primary.source);
  const source = await connect(server.url);
  const hello = await source.hello(null, SHAPE);
  expect(hello).toEqual(await primary.source.hello(null, SHAPE));
  expect(await source.snapshot('teachers', null, 2)).toEqual(await primary.source.snapshot('teachers', null, 2));
  const at = { epoch: 1, sequence: 2 };
  expect(await source.digests(at)).toEqual(await primary.source.digests(at));
  expect(await source.buckets('teachers', at)).toEqual(await primary.source.buckets('teachers', at));
  expect(await source.chain([1, 99])).toEqual(await primary.source.chain([1, 99]));
  expect(await source.rows('teachers', ['1', '7'])).toEqual(await primary.source.rows('teachers', ['1', '7']));
  await source.ack({ replica: 'x', applied: 2, epoch: 1, state: 'LIVE', url: null });
  expect(primary.source.followers.list()).toMatchObject([{ replica: 'x', applied: 2 }]);
  source.close();
  await primary.close();
});

test('an error of the source keeps its code and details', async () => {
  const source = sourceWith({
    digests: async () => {
      throw new HoldfastError('CURSOR_EXPIRED', 'too old', { details: { oldest: 7 } });
    },
  });
  await using server = await served(source);
  const client = await connect(server.url);
  const error = await client.digests(null).catch((caught: unknown) => caught);
  expect(isHoldfastError(error, 'CURSOR_EXPIRED')).toBe(true);
  expect((error as HoldfastError).details).toMatchObject({ oldest: 7 });
  client.close();
});

test('the error that ends a subscription keeps its code, after the frames before it', async () => {
  const source = sourceWith({
    async *changes() {
      yield FRAME;
      throw new HoldfastError('CURSOR_EXPIRED', 'trimmed');
    },
  });
  await using server = await served(source);
  const client = await connect(server.url);
  const taken: Frame[] = [];
  const reading = (async () => {
    for await (const frame of client.changes('c', SHAPE, LIMITS, new AbortController().signal)) taken.push(frame);
  })();
  await expect(reading).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' });
  expect(taken).toEqual([FRAME]);
  client.close();
});

test('nobody listening is PRIMARY_UNREACHABLE, naming the URL', async () => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  const url = `ws://127.0.0.1:${port}/graphql`;
  await expect(connect(url)).rejects.toMatchObject({
    code: 'PRIMARY_UNREACHABLE',
    message: expect.stringMatching(new RegExp(`${url}: .*ECONNREFUSED`)),
  });
});

test('a peer that takes the connection and never answers is PRIMARY_UNREACHABLE', async () => {
  const mute = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(mute, 'listening');
  const { port } = mute.address() as { port: number };
  await expect(connect(`ws://127.0.0.1:${port}/graphql`, { connectMs: 100 })).rejects.toMatchObject({
    code: 'PRIMARY_UNREACHABLE',
  });
  mute.close();
});

test('a connection that falls silent is given up', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'graphql-transport-ws' });
  await once(server, 'listening');
  // Acknowledges, then neither sends nor answers: a machine that vanished.
  server.on('connection', (socket) => socket.once('message', () => socket.send('{"type":"connection_ack"}')));
  const { port } = server.address() as { port: number };
  const client = await connect(`ws://127.0.0.1:${port}`, { silenceMs: 1_000 });
  const frames = client.changes('c', SHAPE, LIMITS, new AbortController().signal)[Symbol.asyncIterator]();
  await expect(frames.next()).rejects.toMatchObject({ code: 'PRIMARY_UNREACHABLE' });
  client.close();
  server.close();
});

test('while frames wait the source is not read on, and calls are still answered', async () => {
  let sent = 0;
  const body = 'x'.repeat(256 * 1024);
  const source = sourceWith({
    async *changes() {
      for (;;) {
        sent += 1;
        yield { ...FRAME, to: sent, body };
      }
    },
    chain: async () => [null],
  });
  await using server = await served(source);
  const client = await connect(server.url);
  const frames = client.changes('c', SHAPE, LIMITS, new AbortController().signal)[Symbol.asyncIterator]();
  await frames.next();
  let before = -1;
  await eventually('the source stands still', async () => {
    await client.chain([1]);
    const still = before === sent;
    before = sent;
    return still;
  });
  // What fills the buffers of two sockets, not the 25 MB a second that would come otherwise.
  expect(sent).toBeLessThan(100);
  for (let n = 2; n <= 120; n++) expect((await frames.next()).value.to).toBe(n);
  await frames.return?.();
  client.close();
});

test('aborting ends the iteration quietly', async () => {
  const source = sourceWith({
    async *changes(_cursor, _shape, _limits, signal) {
      yield FRAME;
      await once(signal, 'abort');
    },
  });
  await using server = await served(source);
  const client = await connect(server.url);
  const ended = new AbortController();
  const frames = client.changes('c', SHAPE, LIMITS, ended.signal)[Symbol.asyncIterator]();
  await frames.next();
  const next = frames.next();
  ended.abort();
  expect(await next).toMatchObject({ done: true });
  client.close();
});

test('shows its token on every connection, and hears which tokens the source accepts', async () => {
  const shown: unknown[] = [];
  await using server = await served(sourceWith({ chain: async () => [], hello: async () => HELLO }), {
    authenticate: ({ headers }) => {
      shown.push(headers.authorization);
      return { principal: 'replica', roles: ['replica'] };
    },
  });
  const source = await connect(server.url, { token: 'hf_x' });
  try {
    expect(await source.hello(null, SHAPE)).toEqual(HELLO);
    expect(await source.chain([1])).toEqual([]);
    const told: (readonly Token[])[] = [];
    const heard = (async () => {
      for await (const tokens of source.tokens(new AbortController().signal)) told.push(tokens);
    })();
    // The subscription ends after two, which a replica takes for a lost connection.
    await expect(heard).rejects.toMatchObject({ code: 'PRIMARY_UNREACHABLE' });
    expect(told).toEqual([[TOKEN], []]);
  } finally {
    source.close();
  }
  expect(shown).toEqual(['Bearer hf_x', 'Bearer hf_x']);
});

test.each(['UNAUTHENTICATED', 'FORBIDDEN'] as const)(
  'a source that answers %s names the token, and not what it is',
  async (code) => {
    await using server = await served(sourceWith({}), {
      authenticate: () => {
        throw new HoldfastError(code, 'no');
      },
    });
    const refused = connect(server.url, { token: 'hf_secret' });
    await expect(refused).rejects.toMatchObject({
      code,
      message: expect.stringMatching(/refuses the token of this replica .*--token or replica\.token$/),
    });
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining('hf_secret') });
  },
);
