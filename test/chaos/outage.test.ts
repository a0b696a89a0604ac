import { expect, it } from 'vitest';
import { describeWith } from '../support/servers/describe-with.ts';
import { measureOutage, OUTAGES } from './outage.ts';

describeWith('mongodb', 'an outage of a MongoDB server', () => {
  /** `npm run prove -- outage` shows all figures. */
  it.each(OUTAGES)(
    '%s: no read fails or waits longer than 450 ms, and the fallback adds less than 1 ms to the copy',
    async (outage) => {
      const report = await measureOutage(outage, { openMs: 2_000 });
      expect(report.failedReads).toBe(0);
      expect(report.worstRead).toBeLessThan(450 + report.stoodStill);
      expect(report.addedP99).toBeLessThan(1);
      expect(report.backAfter).toBeLessThan(2_000 + 2 * report.stoodStill);
    },
  );
});
