import { expect, test } from 'vitest';
import { Lag } from '../../replica/lag.ts';

function clocks(): { readonly lag: (storedAsOf?: number) => Lag; monotonic: number; wall: number } {
  const time = {
    monotonic: 1_000,
    wall: Date.UTC(2030, 0, 1),
    lag: (storedAsOf: number | null = null) =>
      new Lag({ clock: { now: () => time.monotonic }, wall: () => time.wall, storedAsOf }),
  };
  return time;
}

test('a replica that was never at the head has no age', () => {
  const lag = clocks().lag();
  lag.heard(10);
  lag.applied(4);
  expect(lag.report()).toEqual({ head: 10, lagChanges: 6, stalenessMs: Number.POSITIVE_INFINITY, asOf: null });
});

test('ages from the arrival of the frame whose head is applied, not from the apply', () => {
  const time = clocks();
  const lag = time.lag();
  lag.heard(10);
  time.monotonic += 50;
  lag.applied(10);
  expect(lag.report().stalenessMs).toBe(50);
  time.monotonic += 1_000;
  time.wall += 1_050;
  expect(lag.report()).toMatchObject({ stalenessMs: 1_050, lagChanges: 0, asOf: '2030-01-01T00:00:00.000Z' });
  lag.heard(10);
  expect(lag.report().stalenessMs).toBe(0);
});

test('a replica that is always a little behind ages by that little only', () => {
  const time = clocks();
  const lag = time.lag();
  for (let head = 100; head <= 10_000; head += 100) {
    lag.heard(head);
    lag.applied(head - 300);
    time.monotonic += 100;
  }
  expect(lag.report()).toMatchObject({ lagChanges: 300, stalenessMs: 400 });
});

test('while frozen nothing becomes fresh; afterwards what was heard meanwhile counts', () => {
  const time = clocks();
  const lag = time.lag();
  lag.heard(1);
  lag.applied(1);
  lag.freeze(true);
  time.monotonic += 500;
  lag.heard(2);
  lag.applied(2);
  expect(lag.report().stalenessMs).toBe(500);
  time.monotonic += 100;
  lag.freeze(false);
  expect(lag.report().stalenessMs).toBe(100);
});

test('after a restart the age goes on from the stored instant, and a clock set back makes nothing younger than now', () => {
  const time = clocks();
  expect(time.lag(time.wall - 60_000).report().stalenessMs).toBe(60_000);
  expect(time.lag(time.wall + 60_000).report().stalenessMs).toBe(0);
});

test('a late frame makes nothing fresh; another source may have a shorter history', () => {
  const time = clocks();
  const lag = time.lag();
  lag.heard(100);
  lag.applied(50);
  lag.heard(20);
  expect(lag.report()).toEqual({ head: 100, lagChanges: 50, stalenessMs: Number.POSITIVE_INFINITY, asOf: null });
  lag.forgetHead();
  lag.applied(20);
  lag.heard(20);
  time.monotonic += 7;
  expect(lag.report()).toMatchObject({ lagChanges: 0, stalenessMs: 7 });
});
