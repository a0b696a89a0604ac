import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { untilStopped } from '../../src/cli/lifetime.ts';

/** A process that gets signals from the test, and a server whose stop the test completes. */
function scene(connected = false) {
  const events = new EventEmitter();
  const state = { now: 0, stops: 0, exits: [] as number[] };
  const stopped = Promise.withResolvers<void>();
  const signals = Object.assign(events, { connected, exit: (code: number) => state.exits.push(code) });
  const stop = () => {
    state.stops++;
    return stopped.promise;
  };
  const done = untilStopped({ stop }, () => undefined, { signals, now: () => state.now });
  return { events, state, done, finish: stopped.resolve };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

it.each(['SIGINT', 'SIGTERM'])('stops the server on %s and ends when that is done', async (signal) => {
  const { events, state, done, finish } = scene();
  await turn();
  expect(state.stops).toBe(0);
  events.emit(signal);
  await turn();
  expect(state.stops).toBe(1);
  finish();
  await done;
  expect(state.exits).toEqual([]);
  expect(events.eventNames()).toEqual([]);
});

it('exits at once on a second signal', async () => {
  const { events, state } = scene();
  events.emit('SIGINT');
  state.now = 501;
  events.emit('SIGINT');
  expect(state.exits).toEqual([1]);
});

it('takes a repeated Ctrl-C within half a second for the same one', async () => {
  const { events, state } = scene();
  events.emit('SIGINT');
  state.now = 400;
  events.emit('SIGINT');
  expect(state.exits).toEqual([]);
});

it('leaves Ctrl-C to the process that started it, and stops when that one is gone', async () => {
  const { events, state } = scene(true);
  events.emit('SIGINT');
  await turn();
  expect(state.stops).toBe(0);
  events.emit('disconnect');
  await turn();
  expect(state.stops).toBe(1);
});
