import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { runLong } from '../../src/cli/dr-run.ts';
import { createTerminal } from '../../src/cli/terminal.ts';

const terminal = createTerminal(false, { stdout: new PassThrough(), stderr: new PassThrough() });

it('a signal reaches the work while it runs', async () => {
  const exits: number[] = [];
  const signals = Object.assign(new EventEmitter(), { exit: (code: number) => void exits.push(code) });
  const work = runLong(
    { terminal },
    async ({ signal }) => {
      await Promise.resolve();
      signals.emit('SIGINT');
      await new Promise((done) => signal.addEventListener('abort', done, { once: true }));
      return signal.aborted;
    },
    signals,
  );
  expect(await work).toBe(true);
  expect(signals.listenerCount('SIGINT')).toBe(0);
  expect(exits).toEqual([]);
});

it('signals are given back also when the work fails', async () => {
  const signals = Object.assign(new EventEmitter(), { exit: () => undefined });
  await expect(runLong({ terminal }, () => Promise.reject(new Error('no')), signals)).rejects.toThrow('no');
  expect(signals.eventNames().flatMap((name) => signals.listeners(name))).toEqual([]);
});
