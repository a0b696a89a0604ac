import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { keepAlive } from '../../src/server/connection.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A socket as far as keep-alive is concerned. */
class FakeSocket extends EventEmitter {
  pings = 0;
  terminated = false;
  ping(): void {
    this.pings++;
  }
  terminate(): void {
    this.terminated = true;
    this.emit('close');
  }
}

function kept(): FakeSocket {
  const socket = new FakeSocket();
  keepAlive(socket as never, 12_000);
  return socket;
}

test('pings every 12 s and leaves alone who answers', () => {
  const socket = kept();
  for (let n = 1; n <= 5; n++) {
    vi.advanceTimersByTime(12_000);
    expect(socket.pings).toBe(n);
    socket.emit('pong');
  }
  expect(socket.terminated).toBe(false);
});

test('cuts off who has not answered when the next ping is due', () => {
  const socket = kept();
  vi.advanceTimersByTime(23_999);
  expect(socket.terminated).toBe(false);
  vi.advanceTimersByTime(1);
  expect([socket.terminated, socket.pings]).toEqual([true, 1]);
  expect(vi.getTimerCount()).toBe(0);
});

test('a closed connection is not pinged any more', () => {
  const socket = kept();
  socket.emit('close');
  expect(vi.getTimerCount()).toBe(0);
});
