import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { ask, post } from '../support/graphql.ts';
import { count, create, names, nodes } from '../support/nodes.ts';

it('follows a replica of a replica: writes reach the primary, an absent middle is waited for, all are equal', async () => {
  await using cluster = await nodes();
  const primary = await cluster.primary();
  await primary.ready;
  await create(primary.url, names('first', 50));
  const middle = await cluster.replica('middle', [primary]);
  await middle.ready;
  const end = await cluster.replica('end', [middle]);
  await end.ready;
  const followers = async ({ opsUrl }: { readonly opsUrl: string }): Promise<string[]> => {
    const { replicas } = await ask<{ replicas: { url: string }[] }>(opsUrl, '{ replicas { url } }');
    return replicas.map(({ url }) => url);
  };
  await eventually('the middle knows its follower', async () => (await followers(middle)).includes(end.url), 20_000);
  expect(await followers(primary)).toEqual([middle.url]);

  // Handed on twice, and there for whoever wrote it.
  const created = await post(
    end.url,
    'mutation { createThing(input: { id: "far", name: "far" }) { outcome position } }',
  );
  expect(created).toMatchObject({ data: { createThing: { outcome: 'COMMITTED', position: '1.51' } } });
  expect(await ask(primary.url, '{ thing(id: "far") { name } }')).toEqual({ thing: { name: 'far' } });
  expect(await ask(end.url, '{ thing(id: "far") { name } }')).toEqual({ thing: { name: 'far' } });

  await middle.kill();
  await create(primary.url, names('second', 50));
  expect(await count(end.url)).toBe(51);
  const refused = await post(end.url, 'mutation { createThing(input: { id: "lost", name: "lost" }) { outcome } }');
  expect(refused.errors?.[0]?.extensions).toMatchObject({ code: 'DATABASE_UNAVAILABLE', retryable: true });
  middle.start();
  await eventually('the end catches up', async () => (await count(end.url).catch(() => 0)) === 101, 20_000);
  for (const node of [middle, end]) expect(await node.verify('--deep')).toMatchObject({ code: 0 });
});

it('goes on from the same place at the next of its primaries when the first is gone', async () => {
  await using cluster = await nodes();
  const primary = await cluster.primary();
  await primary.ready;
  await create(primary.url, names('first', 20));
  const middle = await cluster.replica('middle', [primary]);
  await middle.ready;
  const end = await cluster.replica('end', [middle, primary]);
  await end.ready;
  expect((await end.following())?.primary).toBe(middle.websocket);

  await middle.kill();
  await create(primary.url, names('second', 20));
  await eventually('the end has what came after', async () => (await count(end.url)) === 40, 20_000);
  expect((await end.following())?.primary).toBe(primary.websocket);
  expect(end.output()).not.toMatch(/copying the source.*copying the source/s);
  const created = await post(end.url, 'mutation { createThing(input: { id: "far", name: "far" }) { outcome } }');
  expect(created).toMatchObject({ data: { createThing: { outcome: 'COMMITTED' } } });
  expect(await count(end.url)).toBe(41);
  expect(await end.verify('--deep')).toMatchObject({ code: 0 });
});
