import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { ask, post } from '../support/graphql.ts';
import { count, create, names, nodes } from '../support/nodes.ts';

const CREATE = 'mutation($input: CreateThingInput!) { createThing(input: $input) { position } }';

it('reads on a replica what was just written on the primary, under load', async () => {
  await using cluster = await nodes();
  const primary = await cluster.primary();
  await primary.ready;
  const replica = await cluster.replica('replica', [primary]);
  await replica.ready;
  let stale = 0;
  const client = async (number: number): Promise<void> => {
    for (let n = 0; n < 40; n++) {
      const id = `${number}-${n}`;
      const { createThing } = await ask<{ createThing: { position: string } }>(primary.url, CREATE, {
        input: { id, name: id },
      });
      const answer = await post(
        replica.url,
        `{ thing(id: "${id}") { name } }`,
        {},
        {
          'holdfast-min-position': createThing.position,
        },
      );
      // Late is said; an answer without the write never comes.
      if (answer.errors?.[0]?.extensions.code === 'STALE_READ') stale++;
      else expect(answer.data).toEqual({ thing: { name: id } });
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, number) => client(number)));
  expect(stale).toBeLessThan(160);
});

it('refuses data that is too old while the primary stands still, and loses nothing of what comes after', async () => {
  await using cluster = await nodes();
  const primary = await cluster.primary();
  await primary.ready;
  await create(primary.url, names('before', 10));
  const replica = await cluster.replica('replica', [primary]);
  await replica.ready;
  const fresh = { 'holdfast-max-staleness-ms': '2500' };
  await eventually('the replica is fresh', async () => (await post(replica.url, '{ thingsCount }', {}, fresh)).data);

  // Its connections stay open and nothing comes: what a pulled cable looks like.
  process.kill(primary.pid, 'SIGSTOP');
  try {
    const refused = await eventually(
      'the data is too old',
      async () => (await post(replica.url, '{ thingsCount }', {}, fresh)).errors?.[0],
    );
    expect(refused.extensions).toMatchObject({ code: 'STALE_READ', retryable: true, lagMs: expect.any(Number) });
    expect(await count(replica.url)).toBe(10);
    await eventually(
      'the replica gives the connection up',
      async () => (await replica.following())?.state === 'CONNECTING',
      15_000,
    );
    const written = await post(
      replica.url,
      CREATE,
      { input: { id: 'asked', name: 'asked' } },
      { 'idempotency-key': 'k' },
    );
    expect(written.errors?.[0]?.extensions).toMatchObject({ code: 'WRITE_OUTCOME_UNKNOWN', idempotencyKey: 'k' });
  } finally {
    process.kill(primary.pid, 'SIGCONT');
  }
  await replica.is('LIVE');
  await create(primary.url, names('after', 10));
  const again = await post(replica.url, CREATE, { input: { id: 'asked', name: 'asked' } }, { 'idempotency-key': 'k' });
  expect(again.errors).toBeUndefined();
  expect(await count(replica.url)).toBe(21);
  expect(await replica.verify('--deep')).toMatchObject({ code: 0 });
});
