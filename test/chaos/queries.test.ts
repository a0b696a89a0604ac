import { expect, it } from 'vitest';
import { describeWith } from '../support/servers/describe-with.ts';
import { proveQueries } from './queries.ts';

/** `npm run prove -- queries --count N --seed S` asks any others. */
const COUNT = 500;

describeWith('mongodb', 'the embedded store beside a MongoDB server', () => {
  it('row 20: answers generated queries, sorts and projections as the server does, and refuses what it does not have', async () => {
    const { refused, ...report } = await proveQueries({ count: COUNT, seed: 5 });
    expect(report.asServer + report.asFunctions + refused).toBeGreaterThanOrEqual(COUNT);
    expect(refused).toBeGreaterThan(0);
    expect(report.documents).toBeGreaterThan(COUNT);
  });
});
