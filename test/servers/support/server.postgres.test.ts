import { Client } from 'pg';
import { expect, it } from 'vitest';
import { describeWith } from '../../support/servers/describe-with.ts';
import { startPostgres } from '../../support/servers/postgres.ts';
import { behavesAsServer } from './behaviour.ts';

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

describeWith('postgres', 'a PostgreSQL server of a test', () => {
  behavesAsServer(startPostgres, async ({ url }) => {
    const client = await connect(url);
    await client.query('SELECT pg_advisory_lock(1)');
    await client.query('CREATE TABLE IF NOT EXISTS numbers (number int)');
    await client.query('SELECT pg_advisory_unlock(1)');
    return {
      add: (number) => client.query('INSERT INTO numbers VALUES ($1)', [number]),
      all: async () =>
        (await client.query<{ number: number }>('SELECT number FROM numbers')).rows.map((row) => row.number),
      close: () => client.end(),
    };
  });

  it('creates databases', async () => {
    await using server = await startPostgres();
    const url = await server.createDatabase('of "one" test');
    expect(url).toBe(server.urlOf('of "one" test'));
    const client = await connect(await server.createDatabase('plain'));
    expect((await client.query('SELECT current_database() AS name')).rows).toEqual([{ name: 'plain' }]);
    await client.end();
  });
});
