import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { Lifetime } from '../../src/cli/lifetime.ts';

/** A process that gets its signals and its time from the test. */
function scene(connected = false) {
  const events = new EventEmitter();
  const state = { now: 0, over: false, exits: [] as number[] };
  const signals = Object.assign(events, { connected, exit: (code: number) => state.exits.push(code) });
  const lifetime = new Lifetime(() => undefined, { signals, now: () => state.now });
  void lifetime.over.then(() => {
    state.over = true;
  });
  const send = async (event: string, now = 0) => {
    state.now = now;
    events.emit(event);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { state, send, events, lifetime };
}

it.each(['SIGINT', 'SIGTERM'])('is over on %s, not before', async (signal) => {
  const { state, send } = scene();
  await send('other');
  expect(state.over).toBe(false);
  await send(signal);
  expect(state).toMatchObject({ over: true, exits: [] });
});

it('exits at once on a second signal', async () => {
  const { state, send } = scene();
  await send('SIGINT');
  await send('SIGINT', 501);
  expect(state.exits).toEqual([1]);
});

it('takes a repeated Ctrl-C within half a second for the same one', async () => {
  const { state, send } = scene();
  await send('SIGINT');
  await send('SIGINT', 400);
  expect(state.exits).toEqual([]);
});

it('leaves Ctrl-C to the process that started it, and is over when that one is gone', async () => {
  const { state, send } = scene(true);
  await send('SIGINT');
  expect(state.over).toBe(false);
  await send('disconnect');
  expect(state.over).toBe(true);
});

it('listens no longer once it is disposed of', () => {
  const { events, lifetime } = scene();
  lifetime[Symbol.dispose]();
  expect(events.eventNames()).toEqual([]);
});
