import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { ask, post } from '../support/graphql.ts';
import { create, names, nodes, THING } from '../support/nodes.ts';

it('on the primary is taken over by a running replica, which serves all the while', async () => {
  await using cluster = await nodes();
  const primary = await cluster.primary();
  await primary.ready;
  await create(primary.url, names('old', 100));
  const replica = await cluster.replica('replica', [primary]);
  await replica.ready;

  await primary.stop();
  const changed = THING.replace('n: Int!', 'colour: String @index  n: Int! @index');
  await writeFile(
    join(cluster.schema, 'schema.graphql'),
    `${changed}type Place @entity { id: ID! @id  name: String! }\n`,
  );
  primary.start();
  expect(await ask(replica.url, '{ thingsCount }')).toEqual({ thingsCount: 100 });
  await primary.ready;
  await ask(
    primary.url,
    'mutation { createThing(input: { id: "new", name: "new", colour: "red" }) { outcome } createPlace(input: { id: "p", name: "Here" }) { outcome } }',
  );
  const query = '{ things(where: { colour: { eq: "red" } }) { id colour } places { name } }';
  const answer = await eventually(
    'the replica serves the new fields',
    async () => {
      const { data } = await post(replica.url, query);
      return (data?.places as unknown[] | undefined)?.length === 1 ? data : undefined;
    },
    20_000,
  );
  expect(answer).toEqual({ things: [{ id: 'new', colour: 'red' }], places: [{ name: 'Here' }] });
  await replica.is('LIVE');
  expect(await replica.verify('--deep')).toMatchObject({ code: 0 });
  const written = await post(
    replica.url,
    'mutation { updateThing(id: "old-1", set: { colour: "blue" }) { thing { colour } } }',
  );
  expect(written).toMatchObject({ data: { updateThing: { thing: { colour: 'blue' } } } });
});
