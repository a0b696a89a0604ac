import { expect, it } from 'vitest';
import { describeWith } from '../support/servers/describe-with.ts';
import { FAILPOINTS, kill9 } from './kill9.ts';

it('keeps every acknowledged mutation once on primary and replica over kill -9 of either', async () => {
  const report = await kill9({ rounds: 8 });
  expect(report.kills).toEqual({ primary: 4, replica: 4 });
  expect(report.acknowledged).toBeGreaterThan(200);
});

describeWith(
  'mongodb',
  'two primaries and two replicas on MongoDB',
  () => {
    describeWith('redis', 'with Redis', () => {
      it('keep every acknowledged mutation once over kill -9 of any of them, of MongoDB and of Redis', async () => {
        const report = await kill9({ rounds: 8, store: 'mongodb', redis: true });
        expect(report.kills).toEqual({ primary: 2, replica: 2, mongodb: 2, redis: 2 });
        expect(report.acknowledged).toBeGreaterThan(200);
      });
    });

    it('keep every acknowledged mutation once when a primary dies after any step of a write', async () => {
      const steps = Object.keys(FAILPOINTS);
      const report = await kill9({ rounds: steps.length, store: 'mongodb', failpoints: true });
      expect(Object.keys(report.kills).sort()).toEqual(steps.sort());
      expect(report.acknowledged).toBeGreaterThan(200);
    });
  },
  { killable: true },
);
