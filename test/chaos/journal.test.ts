import { expect, it } from 'vitest';
import { describeWith } from '../support/servers/describe-with.ts';
import { proveJournal } from './journal.ts';

describeWith(
  'mongodb',
  'gateways that journal and replay',
  () => {
    it('row 15: apply each journaled write exactly once, and none that was refused, over kill -9 at any moment', async () => {
      const report = await proveJournal({ rounds: 12 });
      expect(report.journaled).toBeGreaterThan(20);
    });
  },
  { killable: true },
);
