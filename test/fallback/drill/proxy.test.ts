import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { BSON } from 'bson';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Fault } from '../../../src/fallback/drill/fault.ts';
import { DrillProxy } from '../../../src/fallback/drill/proxy.ts';
import { MessageSplitter, readCommand, replyMessage } from '../../../src/fallback/drill/wire.ts';

/** A server that answers every command with its name, and tells which it saw. */
let server: Server;
let seen: string[];
let proxy: DrillProxy;
let clients: Socket[];

beforeEach(async () => {
  seen = [];
  clients = [];
  server = createServer((socket) => {
    const splitter = new MessageSplitter();
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      for (const message of splitter.push(chunk)) {
        const { requestId, name } = readCommand(message)!;
        seen.push(name);
        socket.write(replyMessage(requestId, { ok: 1, answered: name }));
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await DrillProxy.start({ target: { host: '127.0.0.1', port: (server.address() as AddressInfo).port } });
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  await proxy[Symbol.asyncDispose]();
  server.close();
});

/** Sends a command over a connection of its own; what came of it. */
function send(command: Record<string, unknown>, until = 'end') {
  const socket = connect(proxy.port, '127.0.0.1');
  clients.push(socket);
  const message = replyMessage(0, { ...command, $db: 'school' });
  message.writeInt32LE(7, 4);
  socket.write(message);
  const answer = Promise.withResolvers<unknown>();
  const splitter = new MessageSplitter();
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (until === 'byte') answer.resolve(bytes);
    for (const reply of splitter.push(chunk)) answer.resolve(BSON.deserialize(reply.subarray(21)));
  });
  socket.on('error', (error: NodeJS.ErrnoException) =>
    answer.resolve(`${error.code} after ${bytes > 0 ? 'some' : 'no'} bytes`),
  );
  return answer.promise;
}

async function isSeen(name: string): Promise<void> {
  await expect.poll(() => seen).toContain(name);
}

const FIND = { find: 'teachers' };
const ALWAYS = { kind: 'ERROR' } as const satisfies Fault;

it('passes everything on without faults', async () => {
  expect(await send(FIND)).toEqual({ ok: 1, answered: 'find' });
});

it('answers with an error code and labels, and the server sees nothing', async () => {
  proxy.set({ kind: 'ERROR', code: 10_107, labels: ['RetryableWriteError'] });
  expect(await send(FIND)).toMatchObject({ ok: 0, code: 10_107, errorLabels: ['RetryableWriteError'] });
  expect(seen).toEqual([]);
  expect(proxy.hits).toBe(1);
});

it('hangs before the server, or after it carried the command out', async () => {
  let answered = false;
  proxy.set({ kind: 'HANG_BEFORE' });
  void send(FIND).then(() => (answered = true));
  await expect.poll(() => proxy.hits).toBe(1);
  expect(seen).toEqual([]);
  proxy.set({ kind: 'HANG_AFTER' });
  void send({ insert: 'teachers' }).then(() => (answered = true));
  await isSeen('insert');
  // A third command goes there and back meanwhile.
  proxy.set();
  await send(FIND);
  expect(answered).toBe(false);
});

it('resets in the middle of an answer, or instead of passing the command on', async () => {
  proxy.set({ kind: 'RESET' });
  expect(await send(FIND)).toMatch(/^ECONNRESET/);
  expect(seen).toEqual(['find']);
  proxy.set({ kind: 'DROP' });
  expect(await send({ insert: 'teachers' })).toBe('ECONNRESET after no bytes');
  expect(seen).toEqual(['find']);
});

it('drips byte by byte', async () => {
  // The next byte is far enough away for the first to be read alone, however busy the machine is.
  proxy.set({ kind: 'DRIP', delayMs: 60_000 });
  expect(await send(FIND, 'byte')).toBe(1);
  proxy.set({ kind: 'DRIP', delayMs: 1 });
  expect(await send(FIND)).toEqual({ ok: 1, answered: 'find' });
});

it('delays', async () => {
  proxy.set({ kind: 'DELAY', delayMs: 1 });
  expect(await send(FIND)).toEqual({ ok: 1, answered: 'find' });
  expect(proxy.hits).toBe(1);
});

it('refuses connections and ends those there are, until all is well again', async () => {
  proxy.set({ kind: 'HANG_BEFORE' });
  const hanging = send(FIND);
  await expect.poll(() => proxy.hits).toBe(1);
  proxy.set({ kind: 'REFUSE' });
  expect(await hanging).toBe('ECONNRESET after no bytes');
  expect(await send({ hello: 1 })).toMatch(/^ECONNRESET|^EPIPE/);
  proxy.set();
  expect(await send(FIND)).toMatchObject({ ok: 1 });
});

it.each<[string, Omit<Fault, 'kind'>, Record<string, unknown>, boolean]>([
  ['a command that it names', { commands: ['find'] }, FIND, true],
  ['no other command', { commands: ['insert'] }, FIND, false],
  ['a collection that it names', { collections: ['teachers'] }, FIND, true],
  ['no other collection', { collections: ['schools'] }, FIND, false],
  ['later parts of a read', { collections: ['teachers'] }, { getMore: 1, collection: 'teachers' }, true],
  ['nothing by which drivers watch servers', {}, { hello: 1 }, false],
  ['also that when it is asked to', { monitoring: true }, { ping: 1 }, true],
  ['nothing when it is over', { times: 0 }, FIND, false],
])('meets %s', async (_what, fault, command, met) => {
  proxy.set({ ...ALWAYS, ...fault });
  expect(await send(command)).toMatchObject({ ok: met ? 0 : 1 });
});

it('ends a connection that does not speak the protocol', async () => {
  const socket = connect(proxy.port, '127.0.0.1');
  clients.push(socket);
  socket.on('error', () => undefined);
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await new Promise((resolve) => socket.once('close', resolve));
});
