import { expect, it } from 'vitest';
import { LightSignal } from '../../../src/fallback/client/light-signal.ts';

it('ends with its signal, once, for who still listens', () => {
  const controller = new AbortController();
  const signal = LightSignal.of(controller.signal);
  const heard: unknown[] = [];
  const gone = (): void => void heard.push('gone');
  signal.addEventListener('abort', function (this: AbortSignal) {
    heard.push(this.reason);
  });
  signal.addEventListener('abort', gone);
  signal.removeEventListener('abort', gone);
  signal.throwIfAborted();
  const reason = new Error('over');
  controller.abort(reason);
  expect(heard).toEqual([reason]);
  expect(signal.aborted).toBe(true);
  expect(() => signal.throwIfAborted()).toThrow(reason);
  expect(LightSignal.of(controller.signal).aborted).toBe(true);
});
