import { expect, it } from 'vitest';
import { LocalFile } from '../../src/sql/mysql-local-file.ts';

/** Pieces in one buffer that is used again, and what became of them. */
function pieces(count: number) {
  const seen = { asked: 0, closed: false };
  async function* read(): AsyncGenerator<Buffer> {
    const buffer = Buffer.alloc(1);
    try {
      for (let piece = 0; piece < count; piece++) {
        seen.asked += 1;
        buffer[0] = piece;
        yield buffer;
      }
    } finally {
      seen.closed = true;
    }
  }
  return { seen, rows: read() };
}

it('tells of each piece before it asks for the next, and of the end', async () => {
  const { rows } = pieces(3);
  const file = new LocalFile(rows).open();
  const told: number[] = [];
  file.on('data', (piece: Buffer) => void told.push(piece[0] ?? -1));
  await new Promise((resolve) => file.on('end', resolve));
  expect(told).toEqual([0, 1, 2]);
});

it('asks for nothing while it is paused', async () => {
  const { rows, seen } = pieces(3);
  const file = new LocalFile(rows).open();
  const paused = new Promise<void>((resolve) =>
    file.once('data', () => {
      file.pause();
      resolve();
    }),
  );
  await paused;
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen.asked).toBe(1);
  const ended = new Promise((resolve) => file.on('end', resolve));
  file.resume();
  await ended;
  expect(seen.asked).toBe(3);
});

it('tells why it could not be read to its end', async () => {
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.from('a');
    throw new Error('unreadable');
  }
  const file = new LocalFile(broken()).open();
  const told = new Promise((resolve) => file.on('error', resolve));
  expect(await told).toEqual(new Error('unreadable'));
  await file.close();
});

it('closes what it reads when nobody wants the rest', async () => {
  const { rows, seen } = pieces(3);
  const file = new LocalFile(rows).open();
  let ended = false;
  file.on('end', () => {
    ended = true;
  });
  await new Promise<void>((resolve) =>
    file.once('data', () => {
      file.pause();
      resolve();
    }),
  );
  await file.close();
  expect({ ...seen, ended }).toEqual({ asked: 1, closed: true, ended: false });
});
