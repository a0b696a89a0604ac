import { createServer, type Socket } from 'node:net';
import { type Document, deserialize, serialize } from 'bson';

/** An error as a server answers it. */
export interface Refusal {
  readonly code: number;
  readonly codeName: string;
  readonly errmsg: string;
}

export interface FakeMongo extends AsyncDisposable {
  readonly port: number;
}

const OP_MSG = 2013;
const OP_REPLY = 1;
const OP_QUERY = 2004;
const HELLO = {
  ...{ ismaster: true, isWritablePrimary: true, helloOk: true, minWireVersion: 0, maxWireVersion: 25, ok: 1 },
  ...{ maxBsonObjectSize: 16_777_216, maxMessageSizeBytes: 48_000_000, maxWriteBatchSize: 100_000 },
};

/**
 * A server of empty databases that speaks MongoDB's wire protocol, and refuses what `refusalOf` says by the command's name. For what the
 * servers at hand cannot do: users and their rights.
 */
export async function startFakeMongo(refusalOf: (command: string) => Refusal | undefined): Promise<FakeMongo> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    let read: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      read = Buffer.concat([read, chunk]);
      while (read.length >= 4 && read.length >= read.readInt32LE(0)) {
        const message = read.subarray(0, read.readInt32LE(0));
        read = read.subarray(message.length);
        socket.write(answerTo(message, refusalOf));
      }
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

function answerTo(message: Buffer, refusalOf: (command: string) => Refusal | undefined): Buffer {
  const request = message.readInt32LE(4);
  const isQuery = message.readInt32LE(12) === OP_QUERY;
  // A query has flags, a name that ends in 0 and two numbers before its document; a message has flags and the kind of its section.
  const start = isQuery ? message.indexOf(0, 20) + 9 : 21;
  const command = deserialize(message.subarray(start, start + message.readInt32LE(start)));
  const [name = ''] = Object.keys(command);
  const body = serialize(resultOf(name, refusalOf(name)));
  const before = isQuery ? Buffer.alloc(20) : Buffer.alloc(5);
  if (isQuery) before.writeInt32LE(1, 16);
  const header = Buffer.alloc(16);
  header.writeInt32LE(header.length + before.length + body.length, 0);
  header.writeInt32LE(request, 8);
  header.writeInt32LE(isQuery ? OP_REPLY : OP_MSG, 12);
  return Buffer.concat([header, before, body]);
}

function resultOf(command: string, refusal: Refusal | undefined): Document {
  if (refusal !== undefined) return { ok: 0, ...refusal };
  if (command === 'hello' || command === 'ismaster' || command === 'isMaster') return HELLO;
  const empty = { id: 0n, ns: 'fake.fake', firstBatch: [] };
  return { ok: 1, n: 0, cursor: empty };
}
