import { cp, rename, rm } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { ask, post } from '../support/graphql.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { count, create, names, nodes } from '../support/nodes.ts';

it('is a fork at the exact change, said and marked; the copy is served until an operator gives it up', async () => {
  await using cluster = await nodes();
  const primary = await cluster.primary();
  await primary.ready;
  await create(primary.url, names('kept', 10));
  const replica = await cluster.replica('replica', [primary]);
  await replica.ready;
  await primary.stop();
  const backup = `${primary.data}.backup`;
  await cp(primary.data, backup, { recursive: true });
  primary.start();
  await primary.ready;
  await create(primary.url, names('lost', 5));
  await replica.is('LIVE');
  expect(await ask(replica.url, '{ thingsCount }', {}, { 'holdfast-min-position': '1.15' })).toEqual({
    thingsCount: 15,
  });

  await primary.stop();
  await rm(primary.data, { recursive: true });
  await rename(backup, primary.data);
  primary.start();
  await primary.ready;
  await create(primary.url, names('other', 20));
  await replica.is('FORKED');

  const status = await runHoldfast(['status', '--url', replica.opsUrl]);
  expect(status.code).toBe(3);
  expect(status.stdout).toContain("parts from this replica's at change 11; this replica is at 1.15");
  expect(status.stdout).toContain('resync --force');
  const old = await post(replica.url, '{ things(where: { name: { startsWith: "lost" } }) { id } }');
  expect(old.data).toMatchObject({ things: names('lost', 5).map((id) => ({ id })) });
  expect(old.extensions?.holdfast).toMatchObject({ source: 'REPLICA', degraded: true, position: '1.15' });
  const careful = await runHoldfast(['replica', 'resync', '--url', replica.opsUrl]);
  expect(careful).toMatchObject({ code: 1, stderr: expect.stringContaining('FORK') });

  // The decision outlives a restart.
  await replica.stop();
  replica.start();
  await replica.is('FORKED');
  expect(await count(replica.url)).toBe(15);

  const forced = await runHoldfast(['replica', 'resync', '--force', '--url', replica.opsUrl]);
  expect(forced.code, forced.stderr).toBe(0);
  await replica.is('LIVE');
  expect(await replica.verify('--deep')).toMatchObject({ code: 0 });
  expect(await ask(replica.url, '{ thing(id: "lost-0") { id } thingsCount }')).toEqual({
    thing: null,
    thingsCount: 30,
  });
});
