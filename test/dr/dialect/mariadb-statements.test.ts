import { expect, it } from 'vitest';
import { withoutRuns } from '../../../src/dr/dialect/mariadb-statements.ts';

it.each([
  ['EVERY 1 DAY', 'NOT PRESERVE ENABLE'],
  ["AT '2030-01-01 00:00:00'", 'PRESERVE ENABLE'],
  ["AT '2030-01-01 00:00:00'", 'NOT PRESERVE DISABLE'],
  ['EVERY 1 DAY', 'PRESERVE DISABLE ON SLAVE'],
  ['EVERY 1 DAY', 'NOT PRESERVE DISABLE ON REPLICA'],
])('an event %s ON COMPLETION %s never runs and is kept', (schedule, completion) => {
  const event = (words: string): string =>
    `CREATE DEFINER=\`u\`@\`%\` EVENT \`a ON COMPLETION PRESERVE ENABLE \` ON SCHEDULE ${schedule} ON COMPLETION ${words} COMMENT 'ON COMPLETION PRESERVE ENABLE' DO SELECT 1`;
  expect(withoutRuns(event(completion))).toBe(event('PRESERVE DISABLE'));
});

it('leaves what is beside the event as it is', () => {
  const settings = "SET SESSION sql_mode = 'ON COMPLETION PRESERVE ENABLE '";
  expect(withoutRuns(settings)).toBe(settings);
});
