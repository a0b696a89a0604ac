import { expect, it } from 'vitest';
import { SqliteChangeLog } from '../../src/changelog/sqlite-change-log.ts';
import { Database } from '../../src/sqlite/database.ts';
import { eventually } from '../support/eventually.ts';
import { ask, post } from '../support/graphql.ts';
import { count, create, names, nodes } from '../support/nodes.ts';

it('fetches only what differs when the log no longer reaches back to it, and serves meanwhile', async () => {
  await using cluster = await nodes();
  const primary = await cluster.primary();
  await primary.ready;
  for (const part of ['a', 'b', 'c', 'd']) await create(primary.url, names(part, 500));
  const replica = await cluster.replica('replica', [primary]);
  await replica.ready;
  await replica.stop();

  await create(primary.url, names('new', 10));
  await ask(
    primary.url,
    'mutation { updateThing(id: "a-7", set: { n: 7 }) { outcome } deleteThing(id: "b-7") { outcome } }',
  );
  await primary.stop();
  await trimLog(primary.data);
  replica.start();
  await replica.ready;
  expect(await count(replica.url)).toBe(2_000);
  primary.start();
  const codes = new Set<unknown>();
  await eventually(
    'the replica has what it missed',
    async () => {
      const answer = await post(replica.url, '{ thingsCount }');
      codes.add(answer.errors?.[0]?.extensions.code);
      return answer.data?.thingsCount === 2_009;
    },
    25_000,
  );
  await replica.is('LIVE');
  expect([...codes]).toEqual([undefined]);
  expect(replica.output()).toContain('starting again from the head of the source');
  const proven = /^.*proven equal to the source.*$/m.exec(replica.output())?.[0] ?? '{}';
  expect(JSON.parse(proven)).toMatchObject({ rows: 0, repaired: 12 });
  expect(await replica.verify('--deep')).toMatchObject({ code: 0 });
  expect(await ask(replica.url, '{ thing(id: "a-7") { n } gone: thing(id: "b-7") { n } }')).toEqual({
    thing: { n: 7 },
    gone: null,
  });
});

/** What the retention of a running primary does in time: only the last change is kept. */
async function trimLog(directory: string): Promise<void> {
  const database = Database.open({ directory });
  try {
    const log = await SqliteChangeLog.open(database);
    await log.trim(log.head().sequence);
  } finally {
    await database.close();
  }
}
