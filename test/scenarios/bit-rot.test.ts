import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { ask } from '../support/graphql.ts';
import { create, names, nodes } from '../support/nodes.ts';

it('in the file of a replica is found by a deep comparison, named, and repaired', async () => {
  await using cluster = await nodes();
  const primary = await cluster.primary();
  await primary.ready;
  await create(primary.url, names('thing', 200));
  const replica = await cluster.replica('replica', [primary]);
  await replica.ready;
  await replica.stop();
  const database = new DatabaseSync(join(replica.data, 'holdfast.db'));
  const [{ name = '' } = {}] = database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'd_*'")
    .all() as { name?: string }[];
  const { changes } = database
    .prepare(`UPDATE ${name} SET text = replace(text, '"thing-42"', '"thinG-42"') WHERE id = '"thing-42"'`)
    .run();
  database.prepare(`DELETE FROM ${name} WHERE id = '"thing-43"'`).run();
  database.close();
  expect(changes).toBe(1);

  replica.start();
  await replica.is('LIVE');
  const found = await replica.verify('--deep');
  expect(found.code).toBe(3);
  expect(found.stdout).toContain('"thing-42"');
  expect(found.stdout).toContain('"thing-43"');
  await eventually('it is repaired', async () => (await replica.verify('--deep')).code === 0, 20_000);
  expect(await ask(replica.url, '{ thing(id: "thing-42") { name } other: thing(id: "thing-43") { name } }')).toEqual({
    thing: { name: 'thing-42' },
    other: { name: 'thing-43' },
  });
  expect(await ask(replica.url, '{ things(where: { name: { in: ["thing-42", "thing-43"] } }) { id } }')).toEqual({
    things: [{ id: 'thing-42' }, { id: 'thing-43' }],
  });
});
