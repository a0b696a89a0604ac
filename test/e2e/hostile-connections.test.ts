import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { bareWebsocket, RawSocket } from '../server/support/raw-socket.ts';
import { type Answer, ask } from '../support/graphql.ts';
import { shared } from '../support/servers/shared.ts';
import { CREATE, FIND, startTarget } from './support/target.ts';

const target = shared(startTarget);
afterEach(() => target().expectWell());

describe('connections', () => {
  const raw = async (text: string | Buffer): Promise<Socket> => {
    const socket = connect(target().port, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write(text);
    return socket;
  };
  const answered = async (socket: Socket): Promise<string> => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    await once(socket, 'close');
    return text;
  };
  const head = `POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n`;

  it.each<[string, string]>([
    ['garbage', '\x16\x03\x01garbage\r\n\r\n'],
    ['a version there is not', 'GET /graphql HTTP/9.9\r\n\r\n'],
    ['two lengths (smuggling)', `${head}content-length: 10\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['a negative length', `${head}content-length: -5\r\n\r\n`],
  ])('of %s are answered 400 with a code, and closed', async (_name, text) => {
    expect(await answered(await raw(text))).toMatch(/^HTTP\/1\.1 400 .*"code":"BAD_REQUEST"/s);
  });

  it('with headers that are too long are answered 431', async () => {
    expect(await answered(await raw(`${head}x-long: ${'x'.repeat(40_000)}\r\n\r\n`))).toMatch(
      /^HTTP\/1\.1 431 .*"code":"BAD_REQUEST"/s,
    );
  });

  it('that stop in the middle of a request, by the hundred, keep nobody waiting', async () => {
    const halves = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        raw(i % 2 === 0 ? head.slice(0, 60) : `${head}content-length: 100\r\n\r\n{`),
      ),
    );
    expect(await ask(target().url, '{ thing(id: "nobody") { id } }')).toEqual({ thing: null });
    for (const socket of halves) socket.resetAndDestroy();
  });

  it('that vanish while their mutation runs leave it done once', async () => {
    const body = JSON.stringify({ query: CREATE, variables: { input: { id: 'vanished', name: 'x' } } });
    const request = `${head}idempotency-key: vanished\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    for (let i = 0; i < 20; i++) (await raw(request)).resetAndDestroy();
    const again = await target().run(
      CREATE,
      { input: { id: 'vanished', name: 'x' } },
      { 'idempotency-key': 'vanished' },
    );
    expect(again.errors).toBeUndefined();
    expect(await target().run(FIND, { where: { name: { eq: 'x' } } })).toMatchObject({
      data: { things: [{ id: 'vanished' }] },
    });
  });
});

describe('websockets', () => {
  const socketUrl = () => target().url.replace(/^http/, 'ws');

  it.each<[string, unknown, number]>([
    ['JSON that is none', 'hello', 4400],
    ['an unknown type', { type: 'launch' }, 4400],
    ['a list', '[]', 4400],
    [
      'a subscription before the introduction',
      { id: '1', type: 'subscribe', payload: { query: '{ thingsCount }' } },
      4401,
    ],
    ['a message of 2 MB', 'x'.repeat(2 << 20), 1009],
  ])('with %s are closed with %s', async (_name, message, code) => {
    const client = await RawSocket.open(socketUrl());
    client.send(message);
    expect((await client.closed).code).toBe(code);
  });

  it('that never introduce themselves, or twice, or speak another protocol, are closed', async () => {
    const silent = await RawSocket.open(socketUrl());
    expect((await silent.closed).code).toBe(4408);
    const twice = await RawSocket.ready(socketUrl());
    twice.send({ type: 'connection_init' });
    expect((await twice.closed).code).toBe(4429);
    const other = new RawSocket(socketUrl(), 'graphql-ws');
    expect([1006, 4406]).toContain((await other.closed).code);
  });

  it('with frames that are none are closed', async () => {
    for (const bytes of [
      Buffer.from([0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0x81, 0x02, 0x7b, 0x7d]),
      Buffer.alloc(64),
    ]) {
      const socket = await bareWebsocket(target().port);
      socket.on('error', () => {});
      const closed = once(socket, 'close');
      socket.resume();
      socket.write(bytes);
      await closed;
    }
  });

  it('get coded errors for operations that are not right, and go on', async () => {
    const client = await RawSocket.ready(socketUrl());
    const refused = async (query: string, rest: Record<string, unknown> = {}) => {
      client.subscribe('1', query, rest);
      const { payload } = (await client.next('error')) as { payload: Answer['errors'] };
      expect(target().known).toContain(payload?.[0]?.extensions.code);
      return payload?.[0]?.extensions.code;
    };
    expect(await refused('{')).toBe('GRAPHQL_PARSE_FAILED');
    expect(await refused('subscription { nope }')).toBe('GRAPHQL_VALIDATION_FAILED');
    expect(await refused('subscription { thingChanged(after: "x") { id } }')).toBe('GRAPHQL_VALIDATION_FAILED');
    expect(await refused('subscription { syncChanges(cursor: "x") { to } }')).toBe('VALIDATION_FAILED');
    expect(await refused('subscription { a: thingChanged { id } b: thingChanged { id } }')).toBe(
      'GRAPHQL_VALIDATION_FAILED',
    );
    client.subscribe('3', 'subscription { thingChanged(after: "1.999999") { id } }');
    expect(await client.next('next')).toMatchObject({
      payload: { errors: [{ extensions: { code: 'VALIDATION_FAILED' } }] },
    });
    await client.next('complete');
    client.subscribe('2', '{ thing(id: "nobody") { id } }');
    expect(await client.next('next')).toMatchObject({ payload: { data: { thing: null } } });
  });
});
