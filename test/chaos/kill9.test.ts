import { expect, it } from 'vitest';
import { kill9 } from './kill9.ts';

it('keeps every acknowledged mutation once on primary and replica over kill -9 of either', async () => {
  const report = await kill9({ rounds: 12 });
  expect(report.acknowledged).toBeGreaterThan(200);
  expect(report.entries).toBeGreaterThanOrEqual(report.acknowledged);
});
