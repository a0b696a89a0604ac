import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CopySocket, tap } from '../../src/sql/copy-socket.ts';

/** Enough that reading rests, and not a multiple of what is read at once. */
const MUCH = Buffer.alloc((9 << 20) + 17, 'rows of a table, ');

describe('a socket for bulk rows', () => {
  let server: Server;
  let near: Socket;
  let far: Socket;
  beforeEach(async () => {
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    near = CopySocket.create(undefined).connect((server.address() as AddressInfo).port, '127.0.0.1');
    [far] = (await once(server, 'connection')) as [Socket];
  });
  afterEach(async () => {
    near.destroy();
    far.destroy();
    server.close();
    await once(server, 'close');
  });

  /** Sends bytes in pieces, each when the one before has left. */
  async function send(bytes: Buffer): Promise<void> {
    for (let from = 0; from < bytes.length; from += 8 << 10) {
      await new Promise((sent) => far.write(bytes.subarray(from, from + (8 << 10)), sent));
    }
  }

  it('leads all bytes past its driver, in order, and gives the connection back', async () => {
    const seen: Buffer[] = [];
    const led = Promise.withResolvers<void>();
    let bytes = 0;
    const tapped = tap(near, (piece) => {
      seen.push(Buffer.from(piece));
      bytes += piece.length;
      if (bytes === MUCH.length) led.resolve();
      return true;
    });
    await send(MUCH);
    await led.promise;
    expect(Buffer.concat(seen).equals(MUCH)).toBe(true);
    tapped.remove();
    const answer = once(near, 'data');
    await send(Buffer.from('for the driver'));
    expect(String((await answer)[0])).toBe('for the driver');
  });

  it('reads nothing until it is told to go on, however much is there', async () => {
    const enough = Promise.withResolvers<void>();
    const all = Promise.withResolvers<void>();
    let bytes = 0;
    let isHeld = false;
    const whileHeld: number[] = [];
    const tapped = tap(near, (piece) => {
      bytes += piece.length;
      if (isHeld) whileHeld.push(piece.length);
      if (bytes === MUCH.length) all.resolve();
      if (bytes < MUCH.length / 2 || isHeld) return true;
      isHeld = true;
      enough.resolve();
      return false;
    });
    const sent = send(MUCH);
    await enough.promise;
    for (let turn = 0; turn < 20; turn++) await new Promise((done) => setImmediate(done));
    expect(whileHeld).toEqual([]);
    tapped.resume();
    await all.promise;
    await sent;
    expect(bytes).toBe(MUCH.length);
  });
});
